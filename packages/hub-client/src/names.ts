import { InvalidInputError, pathSegments } from '@x/cid'

const MOST_OF_PART = 96
const PART = /^\w(?:[\w.-]*\w)?$/
const MOST_OF_REVISION = 255

/** 40 lower-case hexadecimal digits: a commit, which names the same files for ever. */
export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text)

/**
 * The rules of the hub, without which a name could become another path: `name` or `org/name`, of letters, digits, `-`,
 * `_` and `.`, 96 at most each, neither `-` nor `.` at an end, not `--` or `..`, no `.git` at the end.
 *
 * @throws {InvalidInputError} It is none.
 * @see https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
 */
export function assertRepo(repo: string): void {
  const reason = reasonAgainst(repo)
  if (reason === undefined) return
  throw new InvalidInputError(`repository ${JSON.stringify(repo)}: ${reason}`, { input: repo })
}

/** Whether `assertRepo` lets it pass. */
export const isRepo = (text: string): boolean => reasonAgainst(text) === undefined

function reasonAgainst(repo: string): string | undefined {
  if (repo === '') return 'it is empty'
  const parts = repo.split('/')
  if (parts.includes('')) return 'it has an empty segment'
  if (parts.length > 2) return 'it is org/name and nothing more'
  const bad = parts.find((part) => !PART.test(part) || /--|\.\./.test(part))
  if (bad !== undefined) return `${JSON.stringify(bad)} cannot stand in one`
  const long = parts.find((part) => part.length > MOST_OF_PART)
  if (long !== undefined) return `${JSON.stringify(long)} is over ${MOST_OF_PART} characters long`
  return repo.endsWith('.git') ? 'it ends with .git' : undefined
}

const hasControl = (text: string): boolean => Array.from(text).some((sign) => sign < ' ' || sign === '\u007F')

/**
 * A branch, a tag, a commit or `refs/pr/N`, as Git allows names: it may have slashes, and no segment that is a path's own.
 *
 * @throws {InvalidInputError} It is none.
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function assertRevision(revision: string): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`revision ${JSON.stringify(revision)}: ${why}`, { input: revision })
  }
  if (revision === '') refuse('it is empty')
  if (revision.length > MOST_OF_REVISION) refuse(`it is over ${MOST_OF_REVISION} characters long`)
  if (!revision.isWellFormed() || hasControl(revision)) refuse('it has a sign that no revision has')
  if (/[\s~^:?*[\\]|@\{/.test(revision)) refuse('it has a sign that no revision has')
  for (const segment of revision.split('/')) {
    if (segment === '') refuse('it has an empty segment')
    if (segment.startsWith('.') || segment.endsWith('.lock') || segment.endsWith('.')) {
      refuse(`${JSON.stringify(segment)} cannot stand in one`)
    }
  }
  if (revision.includes('..')) refuse('it has two dots in a row')
}

/**
 * A file's path in a repository: relative, `/` between segments, none of them `.` or `..`.
 *
 * @throws {InvalidInputError} It is none.
 */
export function assertFilePath(path: string): void {
  if (path !== '' && pathSegments(path).join('/') === path && !path.includes('\\')) return
  throw new InvalidInputError(`not a file's path: ${JSON.stringify(path)}`, { input: path })
}
