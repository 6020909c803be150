import { readdir, readFile, readlink } from 'node:fs/promises'

/** Both ends as in `/proc/net/tcp`: hexadecimal, `0100007F:1F90` is 127.0.0.1:8080. */
export interface OpenSocket {
  local: string
  remote: string
}

/** The internet sockets of a process. Linux alone. */
export async function socketsOf(pid: number): Promise<OpenSocket[]> {
  const files = await readdir(`/proc/${pid}/fd`)
  const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
  const own = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const tables = await Promise.all(['tcp', 'tcp6', 'udp', 'udp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')))
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => own.has(fields[9] ?? ''))
    .map(([, local = '', remote = '']) => ({ local, remote }))
}
