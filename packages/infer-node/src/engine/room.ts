import { isBusy, type Lane, type Residence } from './residence.ts'

/** A model that waits to be loaded, and since when. Of `performance.now`. */
export type Claimant = Pick<Lane, 'residence' | 'sinceMs'>

export interface RoomOptions {
  /** Of the weights of all models that are loaded, in all threads. */
  memoryBytes: number
  residences: () => Iterable<Residence>
  /** How many threads have a model loaded, or are loading it. */
  copiesOf: (residence: Residence) => number
  unload: (residence: Residence) => void
  /** Bytes that threads were told to let go of, and have yet to. */
  unloadingBytes: () => number
}

/**
 * Which models have room. One that waits for it has it in the end, however busy the others are: of those that have been loaded
 * for as long as they should (`residentUntilMs`), no new run begins, until there is room for the one that has waited longest.
 */
export interface Room {
  /**
   * Sees which model has waited longest to be loaded, and which are to go for it. To be called before runs are given out.
   *
   * @returns In how many milliseconds to look again, though nothing happens: one that is to stay until then may go for it.
   */
  look(ready: readonly Claimant[]): number | undefined
  /** No new run of it begins, so that another one has its room. */
  isLeaving(residence: Residence): boolean
  /**
   * Whether there is room for one more copy; unloads others, those not used for longest first, where that makes it.
   *
   * @param at - `once`: what nobody uses now goes, though it was used a moment ago. Default `turn`.
   */
  hasRoomFor(residence: Residence, at?: 'turn' | 'once'): boolean
  /** More is loaded than may be, as where weights were mapped and cannot be any more. */
  isOver(): boolean
}

/** A model that should still be there, and of which nothing was asked for so long, is not about to be asked again. */
const IDLE_MS = 100

interface Claim {
  residence: Residence
  /** `undefined`: all that may go would not be enough. */
  leaving: ReadonlySet<Residence> | undefined
}

export function createRoom({ memoryBytes, residences, copiesOf, unload, unloadingBytes }: RoomOptions): Room {
  let claim: Claim | undefined

  const isPlaced = (residence: Residence): boolean => copiesOf(residence) > 0

  const bytesIn = (residence: Residence): number => bytesOfCopies(residence, copiesOf(residence))

  const loaded = (): Residence[] => [...residences()].filter(isPlaced)

  const idle = (): Residence[] =>
    loaded()
      .filter((one) => !isBusy(one))
      .toSorted((a, b) => a.usedMs - b.usedMs)

  const busy = (): Residence[] =>
    loaded()
      .filter((one) => isBusy(one))
      .toSorted((a, b) => (a.residentUntilMs ?? Infinity) - (b.residentUntilMs ?? Infinity))

  /** What the model that has waited longest will take, which is not for others. */
  const reservedBeside = (residence: Residence): number =>
    claim !== undefined && isWaiting(claim) && claim.residence !== residence ? claim.residence.bytes : 0

  const isWaiting = ({ residence }: Claim): boolean => !isPlaced(residence) && isBusy(residence)

  const moreOf = (residence: Residence): number => (isShared(residence) && isPlaced(residence) ? 0 : residence.bytes)

  // What is estimated to be too large may fit, alone.
  const fitsBeside = (residence: Residence, bytes: number): boolean =>
    bytes === 0 || bytes + moreOf(residence) <= memoryBytes

  /** What is there besides, when these are gone that have to go; `undefined`: no number of them makes room. */
  function makeRoom(
    residence: Residence,
    candidates: readonly Residence[],
  ): { victims: Residence[]; left: number } | undefined {
    let left = loaded().reduce((sum, one) => sum + bytesIn(one), reservedBeside(residence))
    const victims: Residence[] = []
    for (const victim of candidates) {
      if (fitsBeside(residence, left)) break
      if (victim === residence) continue
      victims.push(victim)
      left -= bytesIn(victim)
    }
    return fitsBeside(residence, left) ? { victims, left } : undefined
  }

  const isLeaving = (residence: Residence): boolean =>
    claim !== undefined && isWaiting(claim) && claim.leaving?.has(residence) === true

  return {
    look(ready) {
      const [longest] = ready
        .filter(({ residence }) => !isPlaced(residence) && residence.leastBytes <= memoryBytes)
        .toSorted((a, b) => a.sinceMs - b.sinceMs)
      claim = undefined
      if (longest === undefined) return undefined
      const { residence } = longest
      const held = new Map(loaded().map((one) => [one, heldMs(one)]))
      const candidates = [...idle(), ...busy()].filter((one) => (held.get(one) ?? 0) <= 0)
      const made = makeRoom(residence, candidates)
      claim = { residence, leaving: made && new Set(made.victims) }
      const times = [...held.values()].filter((ms) => ms > 0 && ms < Infinity)
      // Though this one has room, as soon as it is loaded it is the turn of the next, which may need what goes by then.
      return times.length > 0 ? Math.min(...times) : undefined
    },
    isLeaving,
    hasRoomFor(residence, at = 'turn') {
      // Whoever asked is told so, and nothing else has to go for that.
      if (residence.leastBytes > memoryBytes) return true
      const unused = idle().filter((one) => at === 'once' || mayGo(one))
      const drained = claim?.residence === residence ? busy().filter((one) => isLeaving(one) && one.running === 0) : []
      const made = makeRoom(residence, [...unused, ...drained])
      if (made === undefined) return false
      for (const victim of made.victims) unload(victim)
      // What a thread has yet to unload is there still.
      return fitsBeside(residence, made.left + unloadingBytes())
    },
    isOver: () => loaded().reduce((sum, one) => sum + bytesIn(one), 0) > memoryBytes,
  }
}

/** Its weights are in memory once, in however many threads it is loaded: they are mapped, as a load has shown. */
export const isShared = ({ isMapped, isMappingKnown }: Residence): boolean => isMapped && isMappingKnown

/** Of a model that so many threads have. */
export const bytesOfCopies = (residence: Residence, copies: number): number =>
  residence.bytes * (isShared(residence) ? Math.min(1, copies) : copies)

/** For how much longer a model is not made to go. */
function heldMs(residence: Residence): number {
  const restMs = (residence.residentUntilMs ?? Infinity) - performance.now()
  return isBusy(residence) ? restMs : Math.min(restMs, residence.usedMs + IDLE_MS - Date.now())
}

const mayGo = (residence: Residence): boolean => heldMs(residence) <= 0
