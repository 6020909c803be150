import { afterAll, onTestFinished } from 'vitest'

import { findKubo, NO_KUBO, type Kubo } from '../../../tooling/kubo/find-kubo.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { removeEmptyFolders } from './flatfs.ts'
import { memoryFolder } from './memory-folder.ts'

/** A daemon that has nothing in it, for one test. Daemons are emptied and used again by the tests of one file. */
export interface KuboPool {
  take(): Promise<KuboNode>
}

/** Calls a command of a daemon, by another client than the one under test. */
export async function call(node: KuboNode, command: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`${node.api}/api/v0/${command}`, { ...init, method: 'POST' })
  const text = await response.text()
  if (!response.ok) throw new Error(`${command}: ${text}`)
  return text
}

/** What a real daemon answers is not checked in a test. */
export async function ask<T>(node: KuboNode, command: string): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(await call(node, command)) as T
}

export function createKuboPool(): KuboPool {
  const idle: KuboNode[] = []
  const all: KuboNode[] = []
  afterAll(async () => {
    await Promise.all(all.map((node) => node.stop()))
  })
  return {
    async take() {
      const kubo = findKubo()
      if (!kubo) throw new Error(NO_KUBO)
      const known = idle.pop()
      const node = known ?? (await start(kubo))
      if (!known) all.push(node)
      await empty(node)
      onTestFinished(() => void idle.push(node))
      return node
    },
  }
}

const start = async (kubo: Kubo): Promise<KuboNode> =>
  startKubo(kubo, { online: false, unixSocket: true, env: ONE_THREAD, parent: await memoryFolder() })

interface Running {
  Active: boolean
  Command: string
}

/** What a test that is over broke off has ended: it would add to what is emptied. */
async function untilIdle(node: KuboNode): Promise<void> {
  for (;;) {
    const running = await ask<Running[]>(node, 'diag/cmds')
    if (running.every(({ Active: isActive, Command: command }) => !isActive || command === 'diag/cmds')) return
  }
}

/** Nothing stays but a root directory of MFS that nobody else has. */
async function empty(node: KuboNode): Promise<void> {
  await untilIdle(node)
  const [{ Entries: entries }, ...pinned] = await Promise.all([
    ask<{ Entries: { Name: string }[] | null }>(node, 'files/ls?arg=/'),
    ask<{ Keys?: object }>(node, 'pin/ls?type=recursive'),
    ask<{ Keys?: object }>(node, 'pin/ls?type=direct'),
  ])
  const names = (entries ?? []).map(({ Name: name }) => name)
  const others = names.filter((name) => name !== KEPT).map((name) => `arg=/${encodeURIComponent(name)}`)
  const pins = pinned.flatMap(({ Keys: keys = {} }) => Object.keys(keys)).map((cid) => `arg=${cid}`)
  await Promise.all([
    others.length > 0 && call(node, `files/rm?${others.join('&')}&force=true`),
    names.includes(KEPT) || call(node, `files/cp?arg=/ipfs/bafkqaaa&arg=/${KEPT}`),
    pins.length > 0 && call(node, `pin/rm?${pins.join('&')}`),
  ])
  await call(node, 'repo/gc')
  await removeEmptyFolders(node)
}

const KEPT = 'kept'
/** With several that wake one another it takes a third more of the processor for each short call. */
const ONE_THREAD = { GOMAXPROCS: '1' }
