import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { fixtureModel } from '@x/fixtures'
import { openModelDirectory } from '@x/model-loader'
import { createSigner, generateKeyPair, signModel } from '@x/model-signing'
import { pathSource } from '@x/node'

import type { Files } from './hook-support.ts'
import { temporaryDirectory } from './support.ts'

export interface Keys {
  /** PEM. */
  privateKey: string
  publicKey: string
  /** A file with the public one. */
  file: string
}

export async function keysIn(folder: string, name: string): Promise<Keys> {
  const { privateKey, publicKey } = await generateKeyPair()
  const file = path.join(folder, `${name}.pub`)
  await writeFile(file, publicKey)
  return { privateKey, publicKey, file }
}

export const tinyBert = (): Files => fixtureModel('tiny-bert').files

/** A directory on disk. */
export async function directoryOf(files: Files): Promise<string> {
  const directory = path.join(await temporaryDirectory(), 'model')
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
    await writeFile(path.join(directory, name), bytes)
  }
  return directory
}

/** The files with a `model.sig` of them. */
export async function signedFiles(files: Files, { privateKey }: Pick<Keys, 'privateKey'>): Promise<Files> {
  const directory = await directoryOf(files)
  const source = await pathSource(directory)
  if (source.type !== 'directory') throw new Error('no directory')
  const model = await openModelDirectory(source, directory)
  const digests = model.files.map(({ path: file, sha256 }) => ({ path: file, sha256 }))
  const bundle = await signModel(digests, await createSigner(privateKey), { name: 'tiny', ignorePaths: ['model.sig'] })
  return { ...files, 'model.sig': new Uint8Array(bundle) }
}
