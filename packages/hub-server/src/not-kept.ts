import { HubError } from './hub-error.ts'

/** The repository has it, and this server has not: nobody may remember that it is not there. */
export function notKept(what: 'file' | 'folder', common: Record<string, string>): HubError {
  // With the commit, clients remember for good that the commit has no such file.
  const { 'x-repo-commit': _commit, ...rest } = common
  const message = `That ${what} is in the repository, but is not kept here`
  return new HubError(404, message, { code: 'EntryNotFound', headers: { ...rest, 'cache-control': 'no-store' } })
}
