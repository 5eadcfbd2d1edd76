/** Names for messages, made where the message is written, so that sending it twice makes one turn. */

/** A random name of 32 hexadecimal digits. `crypto.randomUUID` would do, but exists in secure contexts only. */
export function newClientMessageId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
