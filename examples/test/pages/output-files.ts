import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

/** What the usual polyfills of Node's modules and globals have in them, minified too, and what bundlers put where one is missing. */
const POLYFILLS =
  /INSPECT_MAX_BYTES|kMaxLength|browser-external|\.title\s*=\s*["'`]browser["'`]|Cannot find module 'node:/

export interface OutputFile {
  name: string
  text: string
  gzipped: number
}

/** The scripts of a folder that is served. */
export async function scriptsIn(folder: string): Promise<OutputFile[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.m?js$/.test(name))
  return Promise.all(
    names.toSorted().map(async (name) => {
      const bytes = await readFile(path.join(folder, name))
      return { name, text: bytes.toString(), gzipped: gzipSync(bytes, { level: 9 }).length }
    }),
  )
}

export const polyfilled = (scripts: readonly OutputFile[]): string[] =>
  scripts.filter(({ text }) => POLYFILLS.test(text)).map(({ name }) => name)

/** Of a page that takes one name of a package alone, by esbuild of an installed folder: minified and gzipped. */
export async function sizeOfOne(installed: string, name: string, from: string): Promise<number> {
  const [entry, out] = [path.join(installed, 'one.js'), path.join(installed, 'one.out.js')]
  await writeFile(entry, `import { ${name} } from '${from}'\n${name}()\n`)
  const esbuild = path.join(installed, 'node_modules', 'esbuild', 'bin', 'esbuild')
  await promisify(execFile)(esbuild, [entry, '--bundle', '--minify', '--format=esm', `--outfile=${out}`])
  return gzipSync(await readFile(out), { level: 9 }).length
}
