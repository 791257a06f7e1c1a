// What bots may ask, what they are answered, and what comes to them, as one type to make a schema of.
import type { ApiMethods, Message, Opts, Update } from "@grammyjs/types";

// A file in a request is its name there, as a string.
export type Arguments = { [Method in keyof ApiMethods<string>]: Opts<string>[Method] };

// The generator makes something else of A & B & C than what has the fields of all of them.
type Flat<T> = T extends object ? { [Key in keyof T]: T[Key] } : T;
export type FlatUpdate = { [Kind in keyof Update]: Flat<Update[Kind]> };

// Which message a method returns is narrower there than in the documents: what is no voice comes back as a file.
type Documented<T> = T extends Message
  ? Message
  : T extends Update
    ? FlatUpdate
    : T extends readonly (infer Each)[]
      ? Documented<Each>[]
      : T;
type Returned<Method extends keyof ApiMethods<string>> = ReturnType<ApiMethods<string>[Method]>;
export type Results = { [Method in keyof ApiMethods<string>]: Documented<Returned<Method>> };

export interface BotApi {
  arguments: Arguments;
  results: Results;
  update: FlatUpdate;
}
