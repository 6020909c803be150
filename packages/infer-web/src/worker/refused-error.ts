/** An execution provider cannot run a model that another one may. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
}
