import { InvalidInputError, pathSegments } from '@x/cid'

const SEGMENT = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/

/** 40 lower-case hexadecimal digits: a commit, which names the same files for ever. */
export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text)

/**
 * The rules of the hub, without which a name could become another path: `name` or `org/name`, of letters, digits, `-`,
 * `_` and `.`, 96 at most each, not `--` or `..`, no `.git` at the end.
 *
 * @throws {InvalidInputError} It is none.
 * @see https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
 */
export function assertRepo(repo: string): void {
  const parts = repo.split('/')
  const isGood = parts.length <= 2 && parts.every((part) => SEGMENT.test(part)) && !/--|\.\./.test(repo)
  if (isGood && !repo.endsWith('.git')) return
  throw new InvalidInputError(`not the name of a repository: ${JSON.stringify(repo)}`, { input: repo })
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
  if (revision.length > 255) refuse('it has over 255 characters')
  if (!revision.isWellFormed() || hasControl(revision)) refuse('it has a sign that no revision has')
  if (/[\s~^:?*[\\]|@\{|\.\./.test(revision)) refuse('it has a sign that no revision has')
  for (const segment of revision.split('/')) {
    if (segment === '' || segment.startsWith('.') || segment.endsWith('.lock') || segment.endsWith('.')) {
      refuse(`${JSON.stringify(segment)} cannot be a part of it`)
    }
  }
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
