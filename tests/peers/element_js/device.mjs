// What the other side of the socket can ask for: every public method is one request.
import { cryptoApi, RustBackupManager, sdk } from "./modules.mjs";
import { restore, save } from "./store.mjs";
import { sealed } from "./sealed.mjs";
import { Verifications } from "./verification.mjs";

const { ClientEvent, MatrixEvent, MatrixEventEvent, Method, SyncState } = sdk;
const { CryptoEvent, EventShieldColour, EventShieldReason } = cryptoApi;

// Keys go into the backup at once, and not after the up to 10 s that spare a homeserver.
RustBackupManager.maxBackupLoopStartDelayMillis = 0;

export class Device {
  #say;
  #client;
  #crypto;
  #session;
  #store;
  #password;
  #secretStorageKey;
  #verifications;
  #events = new Map();
  #told = new Map();

  constructor(say) {
    this.#say = say;
    this.#verifications = new Verifications(say);
  }

  // The device's life

  async start({ url, user, password, store }) {
    this.#store = store;
    this.#password = password;
    this.#session = store ? await restore(store) : undefined;
    this.#session ??= await this.#logIn(url, user);
    const { user_id: userId, device_id: deviceId, access_token: accessToken } = this.#session;
    this.#client = sdk.createClient({
      baseUrl: url,
      userId,
      deviceId,
      accessToken,
      verificationMethods: ["m.sas.v1"],
      cryptoCallbacks: {
        getSecretStorageKey: async ({ keys }) =>
          this.#secretStorageKey ? [Object.keys(keys)[0], this.#secretStorageKey] : null,
        cacheSecretStorageKey: (id, info, key) => (this.#secretStorageKey = key),
      },
    });
    await this.#client.initRustCrypto({ useIndexedDB: Boolean(store) });
    this.#crypto = this.#client.getCrypto();
    this.#listen();
    await this.#sync();
    return { ...this.#session, ...(await this.#crypto.getOwnDeviceKeys()) };
  }

  /** Nothing is asked for after this: the process ends when the socket is closed. */
  async stop() {
    this.#client?.stopClient();
    if (this.#store && this.#session) await save(this.#store, this.#session);
  }

  async log_out() {
    await this.#client.logout(true);
    this.#session = undefined;
  }

  async #logIn(url, user) {
    const identifier = { type: "m.id.user", user };
    const client = sdk.createClient({ baseUrl: url });
    return client.loginRequest({ type: "m.login.password", identifier, password: this.#password });
  }

  #listen() {
    this.#client.on(ClientEvent.Event, (event) => this.#received(event));
    this.#client.on(MatrixEventEvent.Decrypted, (event) => this.#tell(event));
    for (const each of [CryptoEvent.DevicesUpdated, CryptoEvent.UserTrustStatusChanged])
      this.#client.on(each, () => this.#say({ trust: "changed" }));
    this.#client.on(CryptoEvent.VerificationRequestReceived, (request) => this.#verifications.add(request));
  }

  async #sync() {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#client.on(ClientEvent.Sync, (state, _, data) => {
      if (state === SyncState.Prepared || state === SyncState.Syncing) resolve();
      if (state === SyncState.Error) reject(data?.error);
    });
    // Of a burst all is heard: in what is left out here it is not looked for.
    const filter = new sdk.Filter(this.#client.getUserId());
    filter.setTimelineLimit(100);
    await this.#client.startClient({ initialSyncLimit: 100, filter });
    await promise;
  }

  // Events

  async #received(event) {
    this.#events.set(event.getId(), event);
    await this.#client.decryptEventIfNeeded(event);
    await this.#tell(event);
  }

  /** Try once more to decrypt an event. */
  async retry({ event_id: id }) {
    await this.#events.get(id).attemptDecryption(this.#client.cryptoBackend, { isRetry: true });
    await this.#crypto.outgoingRequestsManager.doProcessOutgoingRequests();
  }

  /** Say what an event is; said again only when that has changed, as when a key came late. */
  async #tell(event) {
    const shield = await this.#shield(event);
    const id = event.getId() ?? null;
    const told = {
      room_id: event.getRoomId() ?? "",
      event_id: id ?? "",
      sender: event.getSender() ?? "",
      state_key: event.getStateKey() ?? null,
      type: event.getType(),
      content: event.isDecryptionFailure() ? {} : event.getOriginalContent(),
      wire_type: event.getWireType(),
      failure: event.decryptionFailureReason,
      failure_text: event.isDecryptionFailure() ? event.getContent().body : null,
      ...shield,
    };
    const line = JSON.stringify(told);
    if (id !== null && this.#told.get(id) === line) return;
    this.#told.set(id, line);
    this.#say({ event: told });
  }

  async #shield(event) {
    const info = event.getId() ? await this.#crypto.getEncryptionInfoForEvent(event) : null;
    if (info === null) return { shield: null, shield_reason: null };
    const reason = info.shieldReason === null ? null : EventShieldReason[info.shieldReason].toLowerCase();
    return { shield: EventShieldColour[info.shieldColour].toLowerCase(), shield_reason: reason };
  }

  // Rooms and sending

  /** The homeserver's API, without any encryption. */
  async request({ method, path, body, query }) {
    return this.#client.http.authedRequest(Method[method] ?? method, "/" + path, query ?? undefined, body);
  }

  async send({ room_id: room, type, content }) {
    return (await this.#client.sendEvent(room, type, content)).event_id;
  }

  /** The content of the m.room.encrypted event that `send` would have sent. */
  async encrypt({ room_id: room, type, content }) {
    const event = new MatrixEvent({ type, content, room_id: room, sender: this.#client.getUserId() });
    await this.#client.cryptoBackend.encryptEvent(event, this.#client.getRoom(room));
    return event.getWireContent();
  }

  /** A file for the homeserver, as an event names it: `url`, or `file` if it was encrypted. */
  async upload({ data, type, encrypted }) {
    const clear = Buffer.from(data, "base64");
    if (!encrypted) return { url: (await this.#client.uploadContent(clear, { type })).content_uri };
    const [stored, file] = await sealed(clear);
    const { content_uri: url } = await this.#client.uploadContent(stored, { type: "application/octet-stream" });
    return { file: { ...file, url } };
  }

  async rotate({ room_id: room }) {
    await this.#crypto.forceDiscardSession(room);
  }

  only_verified({ on }) {
    this.#crypto.globalBlacklistUnverifiedDevices = on;
  }

  /** Element has it off: keys that are missing come from the backup or not at all. */
  ask_for_keys({ on }) {
    this.#crypto.olmMachine.roomKeyRequestsEnabled = on;
  }

  // Cross-signing, secret storage, key backup

  async set_up({ backup }) {
    await this.#crypto.bootstrapCrossSigning({
      authUploadDeviceSigningKeys: this.#withPassword,
      setupNewCrossSigning: true,
    });
    const key = await this.#crypto.createRecoveryKeyFromPassphrase();
    await this.#crypto.bootstrapSecretStorage({
      createSecretStorageKey: async () => key,
      setupNewSecretStorage: true,
      setupNewKeyBackup: backup,
    });
    return key.encodedPrivateKey;
  }

  async recover({ recovery_key: recoveryKey }) {
    this.#secretStorageKey = cryptoApi.decodeRecoveryKey(recoveryKey);
    // Only public keys that are known can be joined by their private ones.
    await this.#crypto.userHasCrossSigningKeys(undefined, true);
    await this.#crypto.bootstrapCrossSigning({});
    if ((await this.#crypto.getKeyBackupInfo()) === null) return 0;
    await this.#crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    await this.#crypto.checkKeyBackupAndEnable();
    return (await this.#crypto.restoreKeyBackup()).imported;
  }

  /** Answered when every key of this device is in the backup. */
  async back_up() {
    for (;;) {
      const uploaded = this.#next(CryptoEvent.KeyBackupSessionsRemaining);
      const { total, backedUp } = await this.#crypto.olmMachine.roomKeyCounts();
      if (total === backedUp) return;
      await this.#crypto.backupManager.maybeUploadKey();
      await uploaded;
    }
  }

  #next = (event) => new Promise((resolve) => this.#client.once(event, resolve));

  #withPassword = async (request) => {
    try {
      return await request(null);
    } catch (error) {
      if (!error.data?.session) throw error;
      const identifier = { type: "m.id.user", user: this.#client.getUserId() };
      const { session } = error.data;
      return request({ type: "m.login.password", identifier, password: this.#password, session });
    }
  };

  // Trust

  async devices({ user_id: user }) {
    const devices = (await this.#crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
    return Promise.all([...devices.values()].map((device) => this.#trust(user, device)));
  }

  async #trust(user, { deviceId, displayName, keys }) {
    const status = await this.#crypto.getDeviceVerificationStatus(user, deviceId);
    return {
      device_id: deviceId,
      name: displayName ?? "",
      keys: Object.fromEntries(keys),
      verified: status?.isVerified() ?? false,
      signed_by_owner: status?.signedByOwner ?? false,
      cross_signing_verified: status?.crossSigningVerified ?? false,
      locally_verified: status?.localVerified ?? false,
    };
  }

  async user_verified({ user_id: user }) {
    return (await this.#crypto.getUserVerificationStatus(user)).isCrossSigningVerified();
  }

  async verify({ user_id: user, device_id: device, room_id: room }) {
    const request = room
      ? await this.#crypto.requestVerificationDM(user, room)
      : await this.#crypto.requestDeviceVerification(user, device);
    return this.#verifications.add(request);
  }

  async verification({ number, step }) {
    await this.#verifications[step](number);
  }
}
