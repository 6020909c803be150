import { InvalidInputError, UnsupportedError } from '@x/cid'

const MOST_NAMED = 20

/** There is nothing but files that are opened with pickle, which runs what is in them. None of them was read. */
export class PickleCheckpointError extends UnsupportedError {
  /** All of them. */
  readonly files: readonly string[]
  constructor(what: string, files: readonly string[]) {
    super(`${what}: no safetensors file, only what is opened with pickle, which runs what is in it: ${named(files)}`)
    this.files = files
  }
}

/** There are several checkpoints, and none of them was asked for. */
export class SeveralCheckpointsError extends InvalidInputError {
  /** What `path` may be. */
  readonly checkpoints: readonly string[]
  constructor(what: string, checkpoints: readonly string[]) {
    super(`${what} has several checkpoints, of which path has to say one: ${named(checkpoints)}`, { input: what })
    this.checkpoints = checkpoints
  }
}

/** The first of a list, and how many more there are. */
export function named(names: readonly string[]): string {
  const more = names.length - MOST_NAMED
  const shown = names.slice(0, MOST_NAMED).join(', ')
  return more > 0 ? `${shown} and ${more} more` : shown
}
