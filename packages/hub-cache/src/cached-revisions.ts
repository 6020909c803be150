import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

import { assertRevision, isCommit } from '@x/hub-client'
import { isStorageError, NotFoundError } from '@x/storage-core'

import type { RepoLayout } from './cache-layout.ts'
import { compareText } from './compare.ts'
import { ifThere, onDisk, systemCode } from './disk-error.ts'

/** The commits of which there is a snapshot. */
export async function snapshotNames({ snapshots }: RepoLayout): Promise<string[]> {
  const entries = await ifThere(`read ${snapshots}`, readdir(snapshots, { withFileTypes: true }))
  // @huggingface/hub names some by a file's digest; those belong to no commit.
  return (entries ?? []).filter((entry) => entry.isDirectory() && isCommit(entry.name)).map(({ name }) => name)
}

/** A commit of which there is a snapshot. */
export interface FoundCommit {
  /** 40 hex. */
  commit: string
  /** When a client noted that the name stands for it; absent where it was asked for by the commit. ISO 8601, UTC. */
  notedAt?: string
}

/**
 * The commit of a snapshot that is there.
 *
 * @throws {NotFoundError} None is, of that revision.
 */
export async function commitOf(layout: RepoLayout, revision: string): Promise<FoundCommit> {
  const held = await snapshotNames(layout)
  const absent = (more: string): NotFoundError => {
    const what = `${layout.repo}@${revision}`
    return new NotFoundError(what, { message: `not in the cache: ${what}${more}` })
  }
  if (isCommit(revision)) {
    if (held.includes(revision)) return { commit: revision }
    throw absent('')
  }
  const named = await readRef(layout, revision)
  if (named !== undefined) {
    if (held.includes(named.commit)) return named
    throw absent(`; it was ${named.commit}, of which there is nothing`)
  }
  const short = /^[0-9a-f]{7,39}$/.test(revision) ? held.filter((commit) => commit.startsWith(revision)) : []
  const [only, another] = short
  if (only !== undefined && another === undefined) return { commit: only }
  if (another !== undefined) throw absent('; more than one commit begins with it')
  throw absent(held.length === 0 ? '' : `; there is ${held.toSorted().slice(0, 5).join(', ')}`)
}

/** The commit that a name stood for; `undefined` where nobody asked for it, or what is noted is no commit. */
async function readRef({ refs }: RepoLayout, name: string): Promise<Required<FoundCommit> | undefined> {
  const path = join(refs, ...name.split('/'))
  // A link on the way could lead to any file; its first 40 signs would be shown.
  let real: string | undefined
  try {
    real = await realpath(path)
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined
    return onDisk(`read ${path}`, Promise.reject(cause))
  }
  if (real !== path) return undefined
  const info = await ifThere(`look at ${path}`, stat(path))
  if (!info?.isFile() || info.size > 128) return undefined
  const text = (await ifThere(`read ${path}`, readFile(path, 'utf8')))?.trim() ?? ''
  return isCommit(text) ? { commit: text, notedAt: info.mtime.toISOString() } : undefined
}

/** Every name and the commit it stood for, sorted. */
export async function readRefs(layout: RepoLayout): Promise<{ name: string; commit: string }[]> {
  const entries = await ifThere(`read ${layout.refs}`, readdir(layout.refs, { recursive: true, withFileTypes: true }))
  const found: { name: string; commit: string }[] = []
  for (const entry of entries ?? []) {
    if (!entry.isFile()) continue
    const name = relative(layout.refs, join(entry.parentPath, entry.name)).split(sep).join('/')
    if (!isRevision(name)) continue
    const noted = await readRef(layout, name)
    if (noted) found.push({ name, commit: noted.commit })
  }
  return found.toSorted((a, b) => compareText(a.name, b.name))
}

function isRevision(name: string): boolean {
  try {
    assertRevision(name)
    // A temporary file of a client that is about to move a name.
    return !/\.[0-9a-f]{8}\.tmp$/.test(name)
  } catch (error) {
    if (isStorageError(error)) return false
    throw error
  }
}
