import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Plugin } from 'vite'

const WORKER = 'sw.js'
const ENTRY = fileURLToPath(new URL('../src/offline/shell-worker.ts', import.meta.url))

/** Bundles the service worker, and tells it which files the page consists of once all are written. */
export function offlineShell(): Plugin {
  let folder = ''
  return {
    name: 'offline-shell',
    apply: 'build',
    configResolved: ({ root, build: { outDir } }) => {
      folder = path.resolve(root, outDir)
    },
    buildStart() {
      this.emitFile({ type: 'chunk', id: ENTRY, fileName: WORKER })
    },
    // Files of `public/` are copied before.
    writeBundle: {
      sequential: true,
      order: 'post',
      handler: () => {
        const script = path.join(folder, WORKER)
        writeFileSync(script, `self.pageShell=${JSON.stringify(shellOf(folder))};\n${readFileSync(script, 'utf8')}`)
      },
    },
  }
}

/** Sorted, so that the same files make the same worker. */
function shellOf(folder: string): { version: string; files: Record<string, string> } {
  const files: Record<string, string> = {}
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
  for (const name of found.toSorted()) {
    if (name !== WORKER) files[name] = sha256(readFileSync(path.join(folder, name)))
  }
  return { version: sha256(JSON.stringify(files)).slice(0, 16), files }
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')
