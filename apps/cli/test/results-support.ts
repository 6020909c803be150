import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { readCar, type Block } from '@x/cid'
import { writeFixtureModel, type FixtureName } from '@x/fixtures'

import { cli, temporaryDirectory, type CliOptions, type Outcome } from './harness.ts'

export interface Place {
  folder: string
  store: string
  /** With `--json` and `--store`. */
  run: (argv: readonly string[], options?: CliOptions) => Promise<Outcome>
  /** @returns Its CID. */
  add: (name: FixtureName) => Promise<string>
}

export async function setup(): Promise<Place> {
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const run: Place['run'] = (argv, options) => cli([...argv, '--json', '--store', store], options)
  return {
    folder,
    store,
    run,
    async add(name) {
      const directory = path.join(folder, name)
      await writeFixtureModel(name, directory)
      const { lines } = await run(['model', 'add', directory, '--name', `fix/${name}`])
      return String(lines[0]?.['cid'])
    },
  }
}

export const HELLO: readonly string[] = ['run', 'text-classification', 'good', '--model', 'fix/tiny-sentiment']
export const fromOf = ({ lines }: Outcome): unknown => lines[0]?.['from']
export const receiptOf = ({ lines }: Outcome): Record<string, unknown> => Object(lines[0]?.['receipt'])

/** The blocks of a CAR, its root first. */
export async function blocksIn(file: string): Promise<[Block, ...Block[]]> {
  const car = await readCar([await readFile(file)])
  const blocks: Block[] = []
  for await (const block of car.blocks) blocks.push(block)
  const root = blocks.find(({ cid }) => car.roots[0]?.equals(cid))
  if (root === undefined) throw new Error('no root')
  return [root, ...blocks.filter((block) => block !== root)]
}

/** A key pair in PEM files. */
export async function writeKeys(folder: string, name: string): Promise<{ key: string; pub: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [key, pub] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.pub`)]
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  return { key, pub }
}
