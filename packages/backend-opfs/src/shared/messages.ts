import type { Method } from './methods.ts'
import type { SentError } from './sent-error.ts'

/** Of what tabs say to each other. Tabs that have loaded different versions of a site do not share a store. */
export const PROTOCOL = 1

/** On the channel that all who have a directory open listen to. */
export type Notice =
  | { type: 'who-owns' }
  /** The answer, and when there is another owner. */
  | { type: 'owner'; owner: string; protocol: number }
  /** A client has opened the channel between the two. */
  | { type: 'client'; client: string; owner: string }

/** From a client to the owner. `id` is that of the call. */
export type ToOwner =
  | { type: 'call'; id: number; method: Method; required: unknown; options: unknown; credit: number }
  /** So many more items may be sent. */
  | { type: 'more'; id: number; items: number }
  | { type: 'abort'; id: number }
  | { type: 'answer'; id: number; ask: number; value: unknown }
  /** A function of the client failed. `failure`: by which it knows what was thrown. */
  | { type: 'refuse'; id: number; ask: number; error: SentError; failure: number }

/** From the owner to a client. */
export type ToClient =
  /** Calls are heard from now on. */
  | { type: 'welcome' }
  | { type: 'items'; id: number; values: unknown[] }
  | { type: 'return'; id: number; value: unknown }
  | { type: 'throw'; id: number; error: SentError; failure: number | undefined }
  /** The owner takes no more calls: the next one does. */
  | { type: 'leaving' }
  /** It was not begun, as the owner is leaving. */
  | { type: 'again'; id: number }
  /** Of no call: the store did something by itself. */
  | { type: 'event'; event: unknown }
  /** Calls a function of the client, and waits. */
  | { type: 'ask'; id: number; ask: number; handle: number; args: unknown }
  /** The same, and does not. */
  | { type: 'tell'; id: number; handle: number; args: unknown }
