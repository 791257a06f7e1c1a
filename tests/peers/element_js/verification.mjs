// Verifications in progress, by numbers that the other side of the socket can name.
import { cryptoApi } from "./modules.mjs";

const { VerificationPhase, VerificationRequestEvent, VerifierEvent } = cryptoApi;

export class Verifications {
  #all = new Map();
  #say;

  constructor(say) {
    this.#say = say;
  }

  /** Follow a request from now on; its number. */
  add(request) {
    const each = { number: this.#all.size + 1, request };
    this.#all.set(each.number, each);
    request.on(VerificationRequestEvent.Change, () => this.#changed(each));
    this.#changed(each);
    return each.number;
  }

  accept = (number) => this.#all.get(number).request.accept();
  cancel = (number) => this.#all.get(number).request.cancel();
  start = (number) => this.#all.get(number).request.startVerification("m.sas.v1");
  confirm = (number) => this.#all.get(number).sas.confirm();
  mismatch = (number) => this.#all.get(number).sas.mismatch();

  #changed(each) {
    const { request } = each;
    if (request.verifier && request.verifier !== each.verifier) this.#follow(each, request.verifier);
    this.#say({
      verification: {
        number: each.number,
        user_id: request.otherUserId,
        device_id: request.otherDeviceId ?? null,
        room_id: request.roomId ?? null,
        by_me: request.initiatedByMe,
        phase: VerificationPhase[request.phase].toLowerCase(),
        emojis: each.sas?.sas.emoji ?? [],
        cancel_code: request.cancellationCode,
        error: each.error ?? null,
      },
    });
  }

  #follow(each, verifier) {
    each.verifier = verifier;
    verifier.on(VerifierEvent.ShowSas, (sas) => {
      each.sas = sas;
      this.#changed(each);
    });
    // Answers the other one's start; nothing is confirmed by it.
    verifier.verify().catch((error) => {
      each.error = String(error?.message ?? error);
      this.#changed(each);
    });
  }
}
