// What matrix-js-sdk takes for granted and Debian 12's Node 18 has not. To be imported first.
import { webcrypto } from "node:crypto";
import { setFlagsFromString } from "node:v8";

globalThis.crypto ??= webcrypto;

Promise.withResolvers ??= function () {
  const resolvers = {};
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
};

// It compiles all of the crypto at once, where newer ones wait until a function is called.
setFlagsFromString("--wasm-lazy-compilation");
