/** What `@x/web/vite` writes into the page. */
export interface InstallOptions {
  /** As of `openStorage`. */
  directory?: string | undefined
  /** As of `createWebBinding`: what is done with requests for what the storage does not have. Default `prefer`. */
  offline?: 'prefer' | 'strict' | undefined
}
