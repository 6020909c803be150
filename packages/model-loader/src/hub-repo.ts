import { InvalidInputError } from '@x/cid'

/** One segment: letters, digits, `_`, `-`, `.`; neither of the last two at an end or twice in a row. */
const SEGMENT = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/
const MAX_REPO_LENGTH = 96
const MAX_REVISION_LENGTH = 250

/** Whether a text can be the id of a model repository on the hub: `org/name`, or `name` alone as old ones have. */
export const isHubRepo = (text: string): boolean => reasonAgainst(text) === undefined

/**
 * @throws {InvalidInputError} It cannot be the id of a model repository.
 * @see https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
 */
export function assertHubRepo(repo: string): void {
  const reason = reasonAgainst(repo)
  if (reason !== undefined)
    throw new InvalidInputError(`repository ${JSON.stringify(repo)}: ${reason}`, { input: repo })
}

function reasonAgainst(repo: string): string | undefined {
  const segments = repo.split('/')
  const bad = segments.find((segment) => !SEGMENT.test(segment))
  if (repo === '') return 'it is empty'
  if (bad === '') return 'it has an empty segment'
  if (segments.length > 2) return 'it is org/name and nothing more; a revision follows @'
  if (bad !== undefined) return `${JSON.stringify(bad)} cannot stand in one`
  if (repo.length > MAX_REPO_LENGTH) return `it is over ${MAX_REPO_LENGTH} characters long`
  return repo.endsWith('.git') ? 'it ends with .git' : undefined
}

/**
 * Checks a version, branch, tag or commit by the rules of git for names of refs.
 *
 * @throws {InvalidInputError} It cannot be one.
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function assertRevision(revision: string): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`revision ${JSON.stringify(revision)}: ${why}`, { input: revision })
  }
  if (revision === '') refuse('it is empty')
  if (revision.length > MAX_REVISION_LENGTH) refuse(`it is over ${MAX_REVISION_LENGTH} characters long`)
  if (!/^[\w.+/-]+$/.test(revision)) refuse('it may have letters, digits, and . _ + - /')
  for (const segment of revision.split('/')) {
    if (segment === '') refuse('it has an empty segment')
    if (segment.startsWith('.') || segment.endsWith('.') || segment.endsWith('.lock')) {
      refuse(`${JSON.stringify(segment)} cannot stand in one`)
    }
  }
  if (revision.includes('..')) refuse('it has two dots in a row')
}
