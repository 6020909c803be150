/** Leaves the body of an answer. Does not wait: a server that hangs must not be waited for. */
export function discard({ body }: Response): void {
  // It fails where the connection has failed, and nothing of this body is wanted.
  body?.cancel().catch(() => undefined)
}
