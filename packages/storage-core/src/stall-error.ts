/** Nothing, or next to nothing, came for the stall time. The cause of a `BackendError`. */
export class StallError extends Error {
  override readonly name = 'StallError'
}
