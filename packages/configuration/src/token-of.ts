import path from 'node:path'

import { readVariable, type Environment } from '@x/gating'

import type { KeyPath } from './line-of.ts'
import type { Parsed } from './parse-configuration.ts'
import { readText, whyUnread } from './read-text.ts'

export interface TokenOptions {
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Hears that others may read the file of a token. */
  onWarning?: ((message: string) => void) | undefined
}

/** Where a table says that its token is. */
export interface SaidToken {
  'token-env'?: string | undefined
  'token-file'?: string | undefined
}

/** Gets a token from where the file says; `undefined`: it says nothing of one. @throws {InvalidInputError} It is not there. */
export type ReadToken = (options?: TokenOptions) => Promise<string | undefined>

/** @param table - Where the table stands. */
export const tokenReader =
  (said: SaidToken, table: KeyPath, { file, complain }: Parsed): ReadToken =>
  async ({ environment = process.env, onWarning } = {}) => {
    const [variable, tokenFile] = [said['token-env'], said['token-file']]
    if (variable !== undefined) {
      const token = readVariable(environment, variable)
      // Its name is not shown: somebody may have written the token itself.
      if (token === undefined) throw complain([...table, 'token-env'], 'the variable that it names is not set')
      return token
    }
    if (tokenFile === undefined) return undefined
    const { text, shared } = await readText(path.resolve(path.dirname(file), tokenFile)).catch((error: unknown) => {
      throw complain([...table, 'token-file'], `the file that it names cannot be read: ${whyUnread(error)}`)
    })
    const token = text.trim()
    if (!/^[\x21-\x7e]+$/.test(token))
      throw complain([...table, 'token-file'], 'the file that it names has no token alone')
    if (shared.byOthers) {
      const what = 'the file that it names can be read or written by others of this machine; chmod 600 ends that'
      onWarning?.(complain([...table, 'token-file'], what).message)
    }
    return token
  }
