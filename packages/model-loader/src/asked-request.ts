/** What a call of `fetch` asks for, whichever way it says so. */
export interface AskedRequest {
  /** As it was given; of a `Request`, absolute. */
  url: string
  /** In upper case. */
  method: string
  /** The header `Range`. */
  range: string | null
}

/** @param input - A `Request` counts too, also one of another realm, though the type of transformers.js has none. */
export function askedRequest(input: string | URL | Request, init: RequestInit = {}): AskedRequest {
  const isRequest = typeof input === 'object' && 'url' in input
  const request = isRequest ? input : undefined
  return {
    url: isRequest ? input.url : input.toString(),
    method: (init.method ?? request?.method ?? 'GET').toUpperCase(),
    range: new Headers(init.headers ?? request?.headers).get('range'),
  }
}

/** Whether it reads, and so may be answered with a file. */
export const isReading = ({ method }: AskedRequest): boolean => method === 'GET' || method === 'HEAD'
