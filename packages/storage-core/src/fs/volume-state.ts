import {
  buildDirectory,
  cidOf,
  InvalidInputError,
  RAW,
  readFile,
  type Block,
  type CID,
  type NodeLink,
  type ProfileName,
} from '@x/cid'

import type { Metadata } from '../content-store.ts'
import { createByteGatherer } from '../gather-bytes.ts'
import { copyMetadata } from '../metadata.ts'
import { entriesOf, type LinkTo, type TreeReader } from './tree-edit.ts'

/** One state of a volume. */
export interface VolumeVersion {
  /** The tree's root: what `add` of the same tree gives. */
  root: CID
  /** Counts the states, from 1. */
  sequence: number
  /** ISO 8601, UTC. */
  time: string
  message?: string | undefined
}

export interface VolumeState extends Omit<VolumeVersion, 'root'> {
  tree: LinkTo
  /** By path; no path without any. */
  metadata: ReadonlyMap<string, Metadata>
  /** Older states by their sequence in decimal digits, each a directory of `state.json` and `tree`. */
  history: ReadonlyMap<string, NodeLink>
}

const [TREE, RECORD, HISTORY] = ['tree', 'state.json', 'history']

/**
 * A state is a UnixFS directory of `tree`, `state.json` and `history`, so that a name for it keeps all of it in any store,
 * and that whoever copies it has all of it. No two writers make the same one.
 */
export async function buildState(
  state: VolumeState,
  options: { profile: ProfileName | undefined; signal?: AbortSignal | undefined; onBlock: (block: Block) => void },
): Promise<CID> {
  const { sequence, time, message, tree, metadata, history } = state
  const record = {
    volume: 1,
    sequence,
    time,
    ...(message !== undefined && { message }),
    // Else two writers who make the same tree at the same moment could not be told apart.
    writer: crypto.randomUUID(),
    metadata: Object.fromEntries(metadata),
  }
  const bytes = new TextEncoder().encode(JSON.stringify(record))
  const block = { cid: await cidOf(RAW, bytes), bytes }
  options.onBlock(block)
  const past = await buildDirectory(history.values(), options)
  const links: NodeLink[] = [
    { name: TREE, cid: tree.cid, dagBytes: tree.dagBytes },
    { name: RECORD, cid: block.cid, dagBytes: bytes.length },
    { name: HISTORY, ...past },
  ]
  return (await buildDirectory(links, options)).cid
}

/** A state as it is kept among older ones: without those before it. */
export async function buildPastState(
  reader: TreeReader,
  state: CID,
  options: { profile: ProfileName | undefined; onBlock: (block: Block) => void },
): Promise<LinkTo> {
  const entries = await entriesOf(reader, state)
  entries.delete(HISTORY)
  return buildDirectory(entries.values(), { ...options, signal: reader.signal })
}

/** @throws {InvalidInputError} It is no state of a volume. */
export async function readState(reader: TreeReader, cid: CID): Promise<VolumeState> {
  const refuse = (why: string, cause?: unknown): InvalidInputError =>
    new InvalidInputError(`${cid} is not a volume: ${why}`, { input: cid.toString(), cause })
  const entries = await entriesOf(reader, cid).catch((cause: unknown) => {
    if (cause instanceof InvalidInputError) throw refuse('it is no directory', cause)
    throw cause
  })
  const [tree, record, history] = [entries.get(TREE), entries.get(RECORD), entries.get(HISTORY)]
  if (!tree || !record) throw refuse(`it lacks ${tree ? RECORD : TREE}`)
  const gathered = createByteGatherer()
  for await (const piece of readFile(reader.get, record.cid, { signal: reader.signal })) gathered.add(piece)
  return {
    ...parseRecord(gathered.join(), refuse),
    tree,
    history: history ? await entriesOf(reader, history.cid) : new Map(),
  }
}

function parseRecord(
  bytes: Uint8Array,
  refuse: (why: string, cause?: unknown) => InvalidInputError,
): Omit<VolumeState, 'tree' | 'history'> {
  let record: unknown
  try {
    record = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw refuse(`${RECORD} is no JSON`, cause)
  }
  if (!isObject(record) || record['volume'] !== 1) throw refuse(`${RECORD} is not of version 1`)
  const { sequence, time, message, metadata } = record
  if (!Number.isSafeInteger(sequence) || typeof time !== 'string' || !isObject(metadata)) {
    throw refuse(`${RECORD} lacks sequence, time or metadata`)
  }
  const ofPaths = new Map<string, Metadata>()
  for (const [path, value] of Object.entries(metadata)) {
    if (!isMetadata(value)) throw refuse(`${RECORD} has no object as metadata of ${JSON.stringify(path)}`)
    ofPaths.set(path, copyMetadata(value))
  }
  return {
    sequence: Number(sequence),
    time,
    ...(typeof message === 'string' && { message }),
    metadata: ofPaths,
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of something that was JSON, so that an object is all there is to look for. */
const isMetadata = (value: unknown): value is Metadata => isObject(value)
