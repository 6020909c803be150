import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  kernel: string
  fileSystem: string
  /** Program or package to version. */
  versions: Readonly<Record<string, string>>
}

const lastLine = (command: string, ...args: string[]): string =>
  (spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '').trim().split('\n').at(-1)?.trim() || 'unknown'

/** What the figures depend on. Names neither the host nor a path. */
export async function describeMachine(directory: string, kubo: string | undefined): Promise<Machine> {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  )
  const peers = Object.entries(manifest.dependencies).filter(([, version]) => !version.startsWith('link:'))
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    fileSystem: lastLine('df', '--output=fstype', directory),
    versions: {
      node: process.versions.node,
      'OpenSSL of Node': process.versions.openssl,
      openssl: lastLine('openssl', 'version').replace(/^OpenSSL (\S+).*$/, '$1'),
      ...(kubo && { kubo: lastLine(kubo, 'version', '--number') }),
      ...Object.fromEntries(peers),
    },
  }
}
