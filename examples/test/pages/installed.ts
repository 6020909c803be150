/** The examples of `pages/` where a user would have them: beside packages from the registry, and ours as they would be published. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const pages = path.join(root, 'examples', 'pages')
const shell = process.platform === 'win32'

export const EXAMPLES: readonly string[] = ['esbuild', 'import-map', 'vite', 'webpack']

interface Manifest {
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
}

export const manifestOf = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'))

export const exampleFolder = (example: string): string => path.join(pages, example)

const isOurs = (name: string): boolean => name.startsWith('@x/')

/** With what each depends on. */
async function withDependencies(names: Iterable<string>): Promise<ReadonlySet<string>> {
  const all = new Set(names)
  // What is added while it goes on is visited too.
  for (const name of all) {
    const { dependencies = {} } = await manifestOf(path.join(root, 'packages', name.slice('@x/'.length)))
    for (const dependency of Object.keys(dependencies)) if (isOurs(dependency)) all.add(dependency)
  }
  return all
}

/** What is said of ONNX Runtime's install script in `tooling/test/installed.full.test.ts` is so here. */
const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }

/** A folder with all examples and one `node_modules` for all; they agree on versions. */
export async function installExamples(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'pages-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const wanted: Record<string, string> = {}
    for (const example of EXAMPLES) {
      await cp(exampleFolder(example), path.join(folder, example), { recursive: true })
      const { dependencies, devDependencies } = await manifestOf(exampleFolder(example))
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
        if ((wanted[name] ??= version) !== version) throw new Error(`two versions of ${name} in the examples`)
      }
    }
    const tarballs = path.join(folder, 'tarballs')
    for (const name of await withDependencies(Object.keys(wanted).filter(isOurs))) {
      const cwd = path.join(root, 'packages', name.slice('@x/'.length))
      if (!existsSync(path.join(cwd, 'dist'))) throw new Error(`${name} is not built (npm run setup)`)
      await run('pnpm', ['pack', '--pack-destination', tarballs], { cwd, shell })
    }
    const others = Object.entries(wanted).filter(([name]) => !isOurs(name))
    await writeFile(path.join(folder, 'package.json'), JSON.stringify({ name: 'pages', private: true }))
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
    await run(
      'npm',
      [
        'install',
        ...flags,
        ...(await readdir(tarballs)).map((name) => path.join(tarballs, name)),
        ...others.map(([name, version]) => `${name}@${version}`),
      ],
      { cwd: folder, env: environment, shell },
    )
    return { folder, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** Builds an example with its own script. Returns the folder that is served, and all that was printed. */
export async function buildExample(installed: string, example: string): Promise<{ folder: string; printed: string }> {
  const cwd = path.join(installed, example)
  const bin = path.join(installed, 'node_modules', '.bin')
  const env = {
    ...process.env,
    PATH: `${bin}${path.delimiter}${process.env['PATH'] ?? ''}`,
    NO_COLOR: '1',
    // Else Vitest's own, which a bundler would take for what the page is built for.
    NODE_ENV: 'production',
  }
  const { stdout, stderr } = await run('npm', ['run', '--silent', 'build'], { cwd, env, shell })
  const dist = path.join(cwd, 'dist')
  return { folder: existsSync(dist) ? dist : cwd, printed: `${stdout}${stderr}` }
}
