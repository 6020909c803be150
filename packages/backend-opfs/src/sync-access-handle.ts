/** What is used of the browser's type, which the library of types for pages has not. */
export interface SyncAccessHandle {
  /** Where the browser has no modes there is none, and each handle is alone. */
  readonly mode?: string | undefined
  read(into: Uint8Array, options: { at: number }): number
  write(bytes: Uint8Array, options: { at: number }): number
  getSize(): number
  truncate(byteLength: number): void
  flush(): void
  close(): void
}

declare global {
  interface FileSystemFileHandle {
    /** In dedicated workers alone. */
    createSyncAccessHandle(options?: { mode?: 'readwrite' | 'read-only' }): Promise<SyncAccessHandle>
  }
}
