import { setImmediate } from 'node:timers/promises'

import { CID, equalBytes, IntegrityError, verify, type Block } from '@x/cid'
import { NoSpaceError } from '@x/storage-core'
import { bytesOf, numberOf, reasonOf, textOf, type Database, type Row } from '@x/storage-core/backend'

import { CHANGED_MEANWHILE, type CacheArea, type Cleared, type DiskUsage, type Kept } from '../area.ts'
import { assertBound } from '../assert-bound.ts'
import { costOf, type Entry, type EntryInfo } from '../entry.ts'
import { createTally, isCounter, type Tally } from '../statistics.ts'
import { assertSealed, deleteRow, infoOf, insertRow, readBlocks, readRow, rowOfValue, sealOf, toRow } from './rows.ts'
import { addToTotal, mendTotals, totalOf, totalsOf } from './schema.ts'
import { openSharedDatabase, type SharedDatabase, type Write } from './shared-database.ts'

export interface DiskAreaOptions {
  /** Made where it is not there. Processes may share it. */
  directory: string
  /** Default 1 GiB. The file on disk is somewhat larger. */
  maxBytes?: number | undefined
  /** Of one entry. Default 4 MiB, or a quarter of `maxBytes` where that is less. */
  maxEntryBytes?: number | undefined
  /** Told of damage that was found, and of notes that could not be written. Default: nobody is. */
  onWarning?: ((message: string) => void) | undefined
}

const MAX_BYTES = 2 ** 30
/** Written and read in one go: one of 16 MiB holds up the process for 0.2 s. */
const MAX_ENTRY_BYTES = 4 * 2 ** 20
/** Removed in one transaction, so that none holds up the process for long. */
const EVICTED_AT_ONCE = 256
const FREED_AT_ONCE = 4 * 2 ** 20
const PAGES_AT_ONCE = 256
// One at a time: keys may be as large as values.
const EXPIRED = 'SELECT * FROM entries WHERE expires <= ? LIMIT 1'
const LEAST_USED = 'SELECT * FROM entries ORDER BY used LIMIT 1'
const NEXT = 'SELECT * FROM entries WHERE key > ? ORDER BY key LIMIT 1'
/** What is held while it is listed: so many entries, with keys of so many bytes and one more. */
const LISTED_AT_ONCE = 500
const LISTED_BYTES = 4 * 2 ** 20
/** A read must not cost a write: when an entry was used is known to the minute. */
const NOTE_MS = 60_000
/** Uses written in one transaction. */
const NOTED_AT_ONCE = 256

/**
 * Entries in a SQLite database. What was put is there after the process was killed; a power cut may take the last ones. An
 * entry's blocks are checked against their CIDs and its row against its seal each time it is read.
 *
 * @throws {BackendError} The directory cannot be made, or the file cannot be opened.
 * @throws {InvalidInputError} A bound that is none.
 */
export async function openDiskArea({
  directory,
  maxBytes = MAX_BYTES,
  maxEntryBytes = Math.min(MAX_ENTRY_BYTES, maxBytes / 4),
  onWarning = () => undefined,
}: DiskAreaOptions): Promise<CacheArea> {
  assertBound('maxBytes', maxBytes)
  assertBound('maxEntryBytes', maxEntryBytes)
  const shared = await openSharedDatabase(directory, onWarning)
  const uses = new Map<string, { key: Uint8Array; usedMs: number }>()
  let counted = createTally()
  let notedMs = Date.now()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  /** The totals and when each was used: in some other write, or soon. */
  function noteSoon(): void {
    if (timer || isClosed) return
    timer = setTimeout(() => void noteNow(), NOTE_MS)
    timer.unref()
  }

  async function noteNow(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    try {
      // What is used meanwhile is noted later.
      let left = uses.size
      do {
        await shared.write(note)
        left -= NOTED_AT_ONCE
        if (left > 0) await setImmediate()
      } while (left > 0 && uses.size > 0)
    } catch (error) {
      // Nothing is lost but numbers, and the order in which entries would make room.
      onWarning(`cache: what was used could not be noted: ${reasonOf(error)}`)
      noteSoon()
    }
  }

  /** Some of the uses, those noted first, and all that was counted. */
  const note: Write<void> = (database, onCommit) => {
    const noted: string[] = []
    for (const [name, { key, usedMs }] of uses) {
      if (noted.length === NOTED_AT_ONCE) break
      database.run('UPDATE entries SET used = ? WHERE key = ?', usedMs, key)
      noted.push(name)
    }
    for (const { group, name, value } of counted.counts()) addToTotal(database, counterName(name, group), value)
    // What could not be written is still to be.
    onCommit(() => {
      clearTimeout(timer)
      timer = undefined
      for (const name of noted) uses.delete(name)
      counted = createTally()
      notedMs = Date.now()
      if (uses.size > 0) noteSoon()
    })
  }

  /** Of what counts against the bound. */
  const change: SharedDatabase['write'] = (work) =>
    shared.write((database, onCommit) => {
      if (mendTotals(database))
        onCommit(() => onWarning(`cache: how much is in ${directory} was not as it was written, and is counted anew`))
      return work(database, onCommit)
    })

  /** Inside a transaction: the expired, then those not used for longest, until there is room or it is enough for once. */
  function makeRoom(database: Database, bytes: number, nowMs: number): { evicted: number; isEnough: boolean } {
    const isOver = (): boolean => totalOf(database, 'bytes') + bytes > maxBytes
    let evicted = 0
    let freed = 0
    for (const sql of [EXPIRED, LEAST_USED]) {
      while (evicted < EVICTED_AT_ONCE && isOver()) {
        const row = database.get(sql, ...(sql === EXPIRED ? [nowMs] : []))
        if (row === undefined) {
          if (sql === LEAST_USED) beginAgain(database)
          break
        }
        if (freed >= FREED_AT_ONCE) return { evicted, isEnough: false }
        freed += deleteRow(database, readRow(row))
        evicted += 1
      }
    }
    return { evicted, isEnough: evicted < EVICTED_AT_ONCE || !isOver() }
  }

  /** In place of the older entry, which goes in any case. Where it takes much to make room, in several transactions. */
  async function replace(
    entry: Entry,
    nowMs: number,
    isCurrent: IsCurrent | undefined,
    only: { instead: Entry | undefined } | undefined,
  ): Promise<Kept> {
    const bytes = costOf(entry)
    const row = toRow(entry)
    const seal = await sealOf(row)
    let expected = only?.instead && (await sealOf(toRow(only.instead)))
    // What was read before this is not what goes first.
    let toNote = uses.size
    for (let evicted = 0; ; await setImmediate()) {
      const step = await change((database, onCommit) => {
        if (isCurrent?.() === false) return undefined
        const old = rowOf(database, entry.key)
        if (only !== undefined && !isExpected(old, expected)) return undefined
        if (old !== undefined) deleteRow(database, readRow(old))
        // Should there be no room yet, the next step finds none.
        onCommit(() => (expected = undefined))
        const isOver = totalOf(database, 'bytes') + bytes > maxBytes
        if ((isOver && toNote > 0) || Date.now() - notedMs > NOTE_MS) {
          note(database, onCommit)
          onCommit(() => (toNote -= NOTED_AT_ONCE))
          if (isOver && toNote > NOTED_AT_ONCE) return { evicted: 0, isEnough: false }
        }
        const room = makeRoom(database, bytes, nowMs)
        if (room.isEnough) {
          insertRow(database, entry, row, seal, nowMs)
          onCommit(() => uses.delete(entry.key.toString()))
        }
        return room
      })
      if (step === undefined) return { kept: false, why: CHANGED_MEANWHILE }
      evicted += step.evicted
      if (step.isEnough) return { kept: true, evicted }
    }
  }

  /** The disk is full, and what was to be replaced must not come back. */
  async function removeOnFullDisk(key: CID, isCurrent: IsCurrent | undefined): Promise<void> {
    try {
      await remove(key, { isCurrent })
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error
      // SQLite needs room to remove one.
      await shared.beginAnew('the disk is full')
    }
  }

  /** @param seal - Of the only one that is to go. */
  const remove = (
    key: CID,
    { seal, isCurrent }: { seal?: Uint8Array | undefined; isCurrent?: IsCurrent | undefined },
  ): Promise<boolean> =>
    change((database) => {
      const row = rowOf(database, key)
      if (row === undefined || isCurrent?.() === false) return false
      if (seal !== undefined && !equalBytes(bytesOf(row, 'seal'), seal)) return false
      deleteRow(database, readRow(row))
      return true
    })

  return {
    async get(key) {
      const found = await shared.read(async (database) => {
        const read = readTogether(database, key)
        return read && { row: await assertSealed(read.row), blocks: read.blocks }
      })
      if (found === undefined) return undefined
      const blocks = await checkedBlocks(found.blocks)
      if (blocks === undefined) {
        onWarning(`cache: an entry of ${directory} was damaged and is removed: ${key}`)
        await remove(key, { seal: await sealOf(found.row) })
        return 'damaged'
      }
      const { keyBytes, reason, stored, expires } = found.row
      const [first, ...others] = blocks
      return {
        key,
        keyBytes: keyBytes ?? undefined,
        content: first
          ? { kind: 'value', cid: first.cid, blocks: [first, ...others] }
          : { kind: 'absent', reason: reason ?? '' },
        storedMs: stored,
        expiresMs: expires ?? undefined,
      }
    },
    used(key, usedMs) {
      uses.set(key.toString(), { key: key.bytes, usedMs })
      noteSoon()
    },
    async put(entry, nowMs, isCurrent, only): Promise<Kept> {
      const bytes = costOf(entry)
      const most = Math.min(maxEntryBytes, maxBytes)
      if (bytes > most) {
        if (only === undefined) await remove(entry.key, { isCurrent })
        return { kept: false, why: `the entry counts ${bytes} bytes, of at most ${most}` }
      }
      try {
        return await replace(entry, nowMs, isCurrent, only)
      } catch (error) {
        if (error instanceof NoSpaceError && only === undefined) await removeOnFullDisk(entry.key, isCurrent)
        throw error
      }
    },
    async delete(key, { only, isCurrent } = {}) {
      return remove(key, { isCurrent, seal: only && (await sealOf(toRow(only))) })
    },
    async clear(): Promise<Cleared> {
      const cleared = { entries: 0, bytes: 0 }
      try {
        await empty(change, cleared)
      } catch (error) {
        if (!(error instanceof NoSpaceError)) throw error
        // SQLite needs room to make room. Other processes go on with the old file until they end.
        const rest = await shared.read(totalsOf)
        await shared.beginAnew('the disk is full')
        return { entries: cleared.entries + rest.entries, bytes: cleared.bytes + rest.bytes }
      } finally {
        uses.clear()
      }
      try {
        await giveBack(shared)
      } catch (error) {
        // The entries are gone; the next ones take their room.
        onWarning(`cache: the room of what was cleared could not be given back: ${reasonOf(error)}`)
      }
      return cleared
    },
    async *entries(): AsyncGenerator<EntryInfo> {
      let after: Uint8Array = new Uint8Array(0)
      for (;;) {
        const from = after
        const page = await shared.read((database) => Promise.all(pageAfter(database, from).map(infoOf)))
        yield* page
        const last = page.at(-1)
        if (last === undefined) return
        after = last.key.bytes
      }
    },
    async info(key) {
      return shared.read(async (database) => {
        const row = rowOf(database, key)
        return row && (await infoOf(row))
      })
    },
    async findValue(value) {
      return shared.read(async (database) => {
        const row = rowOfValue(database, value)
        return row && (await infoOf(row))
      })
    },
    async usage(): Promise<DiskUsage> {
      return shared.read((database) => ({
        ...totalsOf(database),
        maxBytes,
        directory,
        ...countsOf(database, counted),
      }))
    },
    count(deltas, group) {
      counted.add(deltas, group)
      noteSoon()
    },
    async close() {
      isClosed = true
      await noteNow()
      shared.close()
    },
  }
}

type IsCurrent = () => boolean

/** Nothing is left, and it is too much: damage has left blocks without an entry, or more went than had come. */
function beginAgain(database: Database): void {
  database.run('DELETE FROM blocks')
  mendTotals(database, { force: true })
}

/** As it is written: `counter misses`, and of a group `counter misses of answers`. */
const counterName = (name: string, group: string | undefined): string =>
  group === undefined ? `counter ${name}` : `counter ${name} of ${group}`

const COUNTER_NAME = /^counter (\w+)(?: of (.*))?$/s

/** What is written, and what is not yet. */
function countsOf(database: Database, counted: Tally): ReturnType<Tally['read']> {
  const all = createTally()
  for (const row of database.all("SELECT name, value FROM totals WHERE name LIKE 'counter %'")) {
    const [, name = '', group] = COUNTER_NAME.exec(textOf(row, 'name')) ?? []
    if (isCounter(name)) all.addTo(group, { [name]: numberOf(row, 'value') })
  }
  for (const { group, name, value } of counted.counts()) all.addTo(group, { [name]: value })
  return all.read()
}

/** Removes each entry that was there, some at a time, and adds up what went. */
async function empty(write: SharedDatabase['write'], cleared: Cleared): Promise<void> {
  for (let after: Uint8Array | undefined = new Uint8Array(0); after !== undefined; await setImmediate()) {
    const from: Uint8Array = after
    const step = await write((database) => {
      const gone = { entries: 0, bytes: 0, last: undefined as Uint8Array | undefined }
      while (gone.entries < EVICTED_AT_ONCE && gone.bytes < FREED_AT_ONCE) {
        const row = database.get(NEXT, gone.last ?? from)
        if (row === undefined) break
        const read = readRow(row)
        gone.bytes += deleteRow(database, read)
        gone.entries += 1
        gone.last = read.key
      }
      return gone
    })
    cleared.entries += step.entries
    cleared.bytes += step.bytes
    after = step.last
  }
}

/** The room is the disk's again, some at a time. */
async function giveBack(shared: SharedDatabase): Promise<void> {
  for (let before = Infinity; ; await setImmediate()) {
    const left = await shared.write((database) => {
      database.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
      const row = database.get('PRAGMA freelist_count')
      return row === undefined ? 0 : numberOf(row, 'freelist_count')
    })
    if (left === 0 || left >= before) break
    before = left
  }
  await shared.read((database) => database.checkpoint())
}

const rowOf = (database: Database, key: CID): Row | undefined =>
  database.get('SELECT * FROM entries WHERE key = ?', key.bytes)

/** Some rows in the order of their keys. */
function pageAfter(database: Database, from: Uint8Array): Row[] {
  const rows: Row[] = []
  let [after, bytes] = [from, 0]
  while (rows.length < LISTED_AT_ONCE && bytes < LISTED_BYTES) {
    const row = database.get(NEXT, after)
    if (row === undefined) break
    rows.push(row)
    const { key, keyBytes } = readRow(row)
    after = key
    bytes += keyBytes?.length ?? 0
  }
  return rows
}

/** A row and its blocks as they were at one moment. */
function readTogether(database: Database, key: CID): { row: Row; blocks: ReturnType<typeof readBlocks> } | undefined {
  database.exec('BEGIN')
  try {
    const row = rowOf(database, key)
    return row && { row, blocks: readBlocks(database, row) }
  } finally {
    database.rollback()
  }
}

/** `undefined`: one is not there, or is not what its CID says. */
async function checkedBlocks(found: ReturnType<typeof readBlocks>): Promise<Block[] | undefined> {
  const blocks: Block[] = []
  for (const { cid: cidBytes, bytes } of found) {
    if (bytes === undefined) return undefined
    const cid = CID.decode(cidBytes)
    try {
      await verify(cid, bytes)
    } catch (error) {
      if (error instanceof IntegrityError) return undefined
      throw error
    }
    blocks.push({ cid, bytes })
  }
  return blocks
}

/** Of what is there, and of what is to be there. `undefined`: nothing. */
const isExpected = (row: Parameters<typeof readRow>[0] | undefined, seal: Uint8Array | undefined): boolean =>
  row === undefined || seal === undefined ? row === seal : equalBytes(bytesOf(row, 'seal'), seal)
