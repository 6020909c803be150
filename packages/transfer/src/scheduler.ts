import { bytesLeft, createClaim, leafBytesLeft, type Claim } from './claim.ts'
import type { FileRun } from './file-run.ts'
import type { SourceState } from './source-state.ts'
import type { Traffic } from './traffic.ts'

export interface SchedulerLimits {
  /** A request is for about as much as comes in this time. Milliseconds. */
  requestMs: number
  /** The first request to a source, whose speed is not known. Bytes. */
  firstRequestBytes: number
  /** The largest request. Bytes. */
  mostRequestBytes: number
}

export interface SchedulerParts {
  limits: SchedulerLimits
  states: readonly SourceState[]
  /** Files on their way, in order. */
  files: Iterable<FileRun>
  claims: ReadonlySet<Claim>
  traffic: Pick<Traffic, 'mayDuplicate'>
  /** The limit of all together is what keeps them: nobody is faster than another. */
  isHeldBack: boolean
}

/** What is as good as silent is raced after so long. */
const SILENT_MS = 1000
/** A request that ends sooner is left alone. */
const SOON_MS = 300

/** Whether a source may be asked for a file. */
export const mayAsk = (state: SourceState, file: FileRun): boolean =>
  !state.out && !file.refusals.has(state) && (file.only === undefined || file.only === state)

/**
 * What a source is asked for next: leaves that nobody is asked for; else a part of what another request has still to bring,
 * in proportion to their speeds; else the last leaf of one that is much slower.
 */
export function nextClaim(state: SourceState, parts: SchedulerParts): Claim | undefined {
  const missing = takeMissing(state, parts)
  if (missing || parts.isHeldBack) return missing
  return takeFromOther(state, parts) ?? race(state, parts)
}

function takeMissing(state: SourceState, parts: SchedulerParts): Claim | undefined {
  for (const file of parts.files) {
    if (!mayAsk(state, file)) continue
    const first = file.firstMissing()
    if (first === undefined) continue
    const hasRanges = rangesOf(state, file)
    if (!hasRanges && !isLastResort(state, file, parts)) continue
    const most = hasRanges ? leavesAtOnce(state, file, parts) : Infinity
    const end = first + file.missingRun(first, most)
    file.claim(first, end)
    return createClaim(file, state, first, end)
  }
  return undefined
}

const rangesOf = ({ source }: SourceState, { wanted }: FileRun): boolean => source.hasRanges?.(wanted) ?? true

/** No source that gives ranges can be asked, and this one is not being read already. */
function isLastResort(state: SourceState, file: FileRun, { states, claims }: SchedulerParts): boolean {
  if (states.some((other) => other !== state && mayAsk(other, file) && rangesOf(other, file))) return false
  return ![...claims].some((claim) => claim.file === file && claim.state === state)
}

/** One request's worth, and no more than its share of what is left. */
function leavesAtOnce(state: SourceState, file: FileRun, { limits, states }: SchedulerParts): number {
  const speed = state.meter.bytesPerSecond()
  const perRequest = speed === undefined ? undefined : speed / Math.max(1, state.active)
  const bytes = perRequest === undefined ? limits.firstRequestBytes : (perRequest * limits.requestMs) / 1000
  const first = file.firstMissing() ?? 0
  const leafBytes = Math.max(1, file.plan.place(first).length)
  const requests = states.reduce((sum, other) => sum + (mayAsk(other, file) ? other.window : 0), 0)
  const share = Math.ceil(file.missingCount() / Math.max(1, requests))
  return Math.max(1, Math.min(share, Math.floor(Math.min(bytes, limits.mostRequestBytes) / leafBytes)))
}

function speedOf(claim: Claim): number {
  return claim.meter.bytesPerSecond() ?? 0
}

/** How long it will take as it goes. Milliseconds; Infinity when nothing comes. */
function timeLeft(claim: Claim, bytes: number): number {
  const speed = speedOf(claim)
  const now = performance.now()
  if (now - claim.lastByteAt > SILENT_MS) return Infinity
  if (speed === 0) return now - claim.startedAt > SILENT_MS ? Infinity : SOON_MS
  return (bytes / speed) * 1000
}

/** As fast as one more request of this source may be; `undefined` where nothing is known of it. */
function ownSpeed({ meter, active }: SourceState): number | undefined {
  const speed = meter.bytesPerSecond()
  return speed === undefined || speed === 0 ? undefined : speed / (active + 1)
}

function takeFromOther(state: SourceState, { claims, limits }: SchedulerParts): Claim | undefined {
  let longest: { claim: Claim; ms: number } | undefined
  for (const claim of claims) {
    const { file } = claim
    if (claim.end - claim.leaf < 2 || !mayAsk(state, file) || !rangesOf(state, file)) continue
    const ms = timeLeft(claim, bytesLeft(claim))
    // Two requests to one source are seldom faster than one.
    const least = claim.state === state ? limits.requestMs : SOON_MS
    if (ms > least && (!longest || ms > longest.ms)) longest = { claim, ms }
  }
  if (!longest) return undefined
  const { claim } = longest
  const theirs = longest.ms === Infinity ? 0 : speedOf(claim)
  const ours = ownSpeed(state) ?? (theirs === 0 ? 1 : theirs)
  const free = claim.end - claim.leaf - 1
  const count = Math.max(1, Math.min(free, Math.round((free * ours) / (ours + theirs))))
  const end = claim.end
  claim.end -= count
  return createClaim(claim.file, state, claim.end, end)
}

const leafBytes = ({ file, leaf, end }: Claim): number => (leaf < end ? file.plan.place(leaf).length : 0)

/** What races that run may bring twice: of each, all of the leaf. */
function racedBytes(claims: ReadonlySet<Claim>): number {
  let bytes = 0
  for (const claim of claims) if (claim.rival) bytes += leafBytes(claim) / 2
  return bytes
}

function race(state: SourceState, { claims, traffic }: SchedulerParts): Claim | undefined {
  for (const claim of claims) {
    const { file } = claim
    if (claim.state === state || claim.rival || claim.isFinishing) continue
    if (claim.end - claim.leaf !== 1 || file.isDone(claim.leaf)) continue
    if (!mayAsk(state, file) || !rangesOf(state, file)) continue
    const bytes = leafBytesLeft(claim)
    const ours = ownSpeed(state)
    const theirMs = timeLeft(claim, bytes)
    const ourMs = ours === undefined ? SILENT_MS : (bytes / ours) * 1000
    if (theirMs < 2 * ourMs + SOON_MS || !traffic.mayDuplicate(racedBytes(claims) + leafBytes(claim))) continue
    const rival = createClaim(file, state, claim.leaf, claim.end)
    const { fill } = claim
    // It goes on from where the other one is, but for a leaf that has to come from one source.
    if (fill && !file.isAlone(claim.leaf)) {
      rival.fill = { ...fill, bytes: fill.bytes.slice(), parts: fill.parts.map((part) => ({ ...part })) }
    }
    rival.rival = claim
    claim.rival = rival
    return rival
  }
  return undefined
}
