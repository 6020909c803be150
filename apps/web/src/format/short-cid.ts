/** The two ends of a CID, by which a person tells one from another: `bafybeic…5pq2xe`. */
export function shortCid(cid: string): string {
  return cid.length <= 20 ? cid : `${cid.slice(0, 9)}…${cid.slice(-6)}`
}
