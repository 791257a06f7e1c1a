// The packages of package-lock.json, from the folder into which scripts/bootstrap has put them.
import "./old_node.mjs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const load = (file) => import(pathToFileURL(join(process.env.ELEMENT_MODULES, file)));

export const sdk = await load("matrix-js-sdk/lib/matrix.js");
export const cryptoApi = await load("matrix-js-sdk/lib/crypto-api/index.js");
export const { RustBackupManager } = await load("matrix-js-sdk/lib/rust-crypto/backup.js");
export const { logger } = await load("matrix-js-sdk/lib/logger.js");
export const loadIndexedDB = () => load("fake-indexeddb/auto/index.mjs");
