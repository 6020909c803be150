/**
 * For how long a model stays, for a person. The page itself clears nothing away to make room (`evict` of its storage is `none`), so
 * that a pin tells programs which share the storage what to leave; what the browser does it does to all alike.
 *
 * @param persisted - Whether the browser granted to keep what is stored; `undefined`: not known.
 */
export function keptText(pinned: boolean, persisted: boolean | undefined): string {
  const pin = pinned ? 'Pinned: marked as one to keep' : 'Not pinned: this page clears nothing away by itself'
  return `${pin}; ${browserText(persisted)}`
}

function browserText(persisted: boolean | undefined): string {
  if (persisted === undefined) return 'whether the browser keeps it is not known'
  return persisted ? 'the browser keeps it' : 'the browser may still clear it away when the disk is full'
}
