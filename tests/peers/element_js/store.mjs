// The crypto store on the disk. Node has no IndexedDB: fake-indexeddb keeps it in memory, and its
// content is written to a file when the device stops, and read before it starts again.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { loadIndexedDB } from "./modules.mjs";

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });

/** What `save` has kept about the session, with the databases put back; undefined the first time. */
export async function restore(file) {
  await loadIndexedDB();
  if (!existsSync(file)) return undefined;
  const { session, databases } = deserialize(readFileSync(file));
  for (const database of databases) await writeDatabase(database);
  return session;
}

export async function save(file, session) {
  const databases = [];
  for (const { name } of await indexedDB.databases()) databases.push(await readDatabase(name));
  writeFileSync(file, serialize({ session, databases }));
}

async function readDatabase(name) {
  const db = await done(indexedDB.open(name));
  const stores = [];
  for (const storeName of db.objectStoreNames) {
    const store = db.transaction(storeName).objectStore(storeName);
    const indexes = [...store.indexNames].map((each) => {
      const { name, keyPath, unique, multiEntry } = store.index(each);
      return { name, keyPath, unique, multiEntry };
    });
    const { keyPath, autoIncrement } = store;
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    stores.push({ name: storeName, keyPath, autoIncrement, indexes, keys, values });
  }
  const { version } = db;
  db.close();
  return { name, version, stores };
}

async function writeDatabase({ name, version, stores }) {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => {
    for (const { name, keyPath, autoIncrement, indexes } of stores) {
      const store = request.result.createObjectStore(name, { keyPath, autoIncrement });
      for (const { name, keyPath, ...options } of indexes) store.createIndex(name, keyPath, options);
    }
  };
  const db = await done(request);
  for (const { name, keyPath, keys, values } of stores) {
    const transaction = db.transaction(name, "readwrite");
    const store = transaction.objectStore(name);
    values.forEach((value, n) => (keyPath === null ? store.put(value, keys[n]) : store.put(value)));
    await committed(transaction);
  }
  db.close();
}
