import type { CID } from '@x/cid'

import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { ask, call } from './kubo-pool.ts'

/** What a daemon's owner does with it, by another client than the one under test. */
export interface Owner {
  /** As `ipfs add --cid-version=1` does. */
  add(bytes: Uint8Array<ArrayBuffer>, options?: { pin?: boolean }): Promise<string>
  pin(cid: CID | string, options?: { recursive?: boolean; name?: string }): Promise<void>
  unpin(cid: CID | string): Promise<void>
  /** Names of recursive pins, by CID. */
  pins(): Promise<Record<string, string>>
  /** In MFS, with the directories above it. */
  show(cid: CID | string, path: string): Promise<void>
  /** Names in a directory of MFS. */
  list(path: string): Promise<string[]>
  at(path: string): Promise<string>
  gc(): Promise<void>
}

export function ownerOf(node: KuboNode): Owner {
  const run = async (command: string, query: [key: string, value: string][]): Promise<void> => {
    await call(node, `${command}?${new URLSearchParams(query).toString()}`)
  }
  return {
    async add(bytes, { pin = true } = {}) {
      const body = new FormData()
      body.append('file', new Blob([bytes]))
      const answer: unknown = JSON.parse(await call(node, `add?cid-version=1&quieter=true&pin=${pin}`, { body }))
      if (typeof answer === 'object' && answer && 'Hash' in answer) return String(answer.Hash)
      throw new Error('it is not added')
    },
    pin: (cid, { recursive = true, name } = {}) => {
      const named: [string, string][] = name === undefined ? [] : [['name', name]]
      return run('pin/add', [['arg', cid.toString()], ['recursive', String(recursive)], ...named])
    },
    unpin: (cid) => run('pin/rm', [['arg', cid.toString()]]),
    async pins() {
      const { Keys: keys = {} } = await ask<{ Keys?: Record<string, { Name?: string }> }>(
        node,
        'pin/ls?type=recursive&names=true',
      )
      return Object.fromEntries(Object.entries(keys).map(([cid, { Name: name = '' }]) => [cid, name]))
    },
    show: (cid, path) =>
      run('files/cp', [
        ['arg', `/ipfs/${cid}`],
        ['arg', path],
        ['parents', 'true'],
      ]),
    async list(path) {
      const command = `files/ls?arg=${encodeURIComponent(path)}`
      const { Entries: entries } = await ask<{ Entries: { Name: string }[] | null }>(node, command)
      return (entries ?? []).map(({ Name: name }) => name)
    },
    at: async (path) => (await ask<{ Hash: string }>(node, `files/stat?arg=${encodeURIComponent(path)}`)).Hash,
    gc: () => run('repo/gc', []),
  }
}
