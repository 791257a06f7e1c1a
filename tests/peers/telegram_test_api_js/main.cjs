// npm's telegram-test-api on loopback: node main.cjs PORT NODE_MODULES. The other side is
// tests/peers/telegram_test_api.py. Of what it does otherwise than core.telegram.org/bots/api, that is put
// right here without which nothing could be tested; each is named. What it lacks is left as it is.
const { join } = require("node:path");
const [port, modules] = process.argv.slice(2);
const TelegramServer = require(join(modules, "telegram-test-api"));

const PAUSE_MS = 50;
const server = new TelegramServer({ port: Number(port), host: "127.0.0.1", storeTimeout: 3600 });
const me = { id: 666, is_bot: true, first_name: "Test First name", username: "TestNameBot" };

// Error 1: what the bot has sent has its date in milliseconds (Message.date: seconds).
// Error 2: it is from nobody, and its chat is a private one even if its number is that of a group.
const add = server.addBotMessage.bind(server);
server.addBotMessage = (raw, token) => {
  const made = add(raw, token);
  return inChat({ ...made, date: Math.floor(made.date / 1000) });
};

function inChat(message) {
  const id = Number(message.chat_id);
  const chat = id < 0 ? { id, type: "group", title: "Group" } : { id, type: "private", first_name: "Person" };
  const { chat_id, reply_parameters, ...rest } = message; // which are arguments, and no part of a Message
  return { ...rest, from: me, chat };
}

function edited(about) {
  const found = server.storage.botMessages.find(
    (each) => String(each.messageId) === String(about.message_id) && String(each.message.chat_id) === String(about.chat_id),
  );
  return inChat({ ...found.message, message_id: found.messageId, date: Math.floor(found.time / 1000) });
}

const inner = server.webServer;
server.webServer = Object.assign(
  (request, response) => {
    const end = response.end.bind(response);
    const method = request.url.split("?")[0].split("/")[2];
    const answer = (body) => {
      response.setHeader("Content-Length", Buffer.byteLength(body));
      return end(body);
    };
    response.end = (body) => {
      const said = String(body ?? "");
      // Error 3: getMe does not say that it is a bot (User.is_bot is not optional).
      if (method === "getMe") return answer(JSON.stringify({ ok: true, result: me }));
      // Error 4: edits and deletions answer null (editMessageText: the Message; deleteMessage: True).
      if (method === "editMessageText") return answer(JSON.stringify({ ok: true, result: edited(request.body) }));
      if (method === "deleteMessage") return answer(said.replace('"result":null', '"result":true'));
      // Error 5: getUpdates does not wait for updates, however long it is asked to.
      if (method === "getUpdates" && said.includes('"result":[]')) return setTimeout(answer, PAUSE_MS, said);
      return answer(said);
    };
    return inner(request, response);
  },
  { settings: inner.settings },
);

server.start();
process.on("SIGTERM", () => process.exit(0));
