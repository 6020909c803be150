const BASE = '@x/backend-opfs'

/** Who holds it is the only one that writes in the directory. */
export const ownerLock = (directory: string): string => `${BASE}:${directory}`

/** A client holds it as long as it lives: who gets it knows that the client is gone. */
export const clientLock = (directory: string, client: string): string => `${BASE}:${directory}:client:${client}`

/** The channel on which all who have the directory open hear who the owner is. */
export const noticesName = (directory: string): string => `${BASE}:${directory}:notices`

/** The channel between a client and an owner. */
export const linkName = (directory: string, client: string, owner: string): string =>
  `${BASE}:${directory}:${client}:${owner}`
