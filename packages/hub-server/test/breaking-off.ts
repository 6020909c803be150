type Handler = (request: Request) => Promise<Response>

/** Ends the first answer to a whole GET below `prefix` some bytes into its body, and closes the connection behind it. */
export function breakingOff(handle: Handler, prefix: string, afterBytes: number): Handler {
  let isDone = false
  return async (request) => {
    const response = await handle(request)
    const { pathname } = new URL(request.url)
    if (isDone || request.method !== 'GET' || response.body === null || !pathname.startsWith(prefix)) return response
    isDone = true
    let left = afterBytes
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        left -= piece.length
        if (left < 0) controller.terminate()
        else controller.enqueue(piece)
      },
    })
    const broken = new Response(response.body.pipeThrough(cut), response)
    broken.headers.set('connection', 'close')
    return broken
  }
}
