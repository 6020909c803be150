/** Items that are there at once go in one message. */
export interface Batch {
  add(item: unknown): void
  /** What was added and has not gone goes now. */
  send(): void
}

export function createBatch(post: (items: unknown[]) => void): Batch {
  let items: unknown[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const send = (): void => {
    clearTimeout(timer)
    timer = undefined
    const all = items
    items = []
    if (all.length > 0) post(all)
  }
  return {
    add(item) {
      items.push(item)
      // Bytes are many, and their memory may go over.
      if (item instanceof Uint8Array) send()
      else timer ??= setTimeout(send)
    },
    send,
  }
}
