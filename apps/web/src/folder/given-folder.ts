import type { GivenFile } from './folder-tree.ts'

/** A folder that was dropped or chosen. */
export interface GivenFolder {
  /** What it is called on the user's disk. */
  name: string
  files: readonly GivenFile[]
}

/** Of `<input type="file" webkitdirectory>`. `undefined`: nothing was chosen. */
export function chosenFolder(list: Iterable<File>): GivenFolder | undefined {
  const files = [...list]
  const name = files[0]?.webkitRelativePath.split('/')[0]
  if (name === undefined) return undefined
  return { name, files: files.map((blob) => ({ path: blob.webkitRelativePath.slice(name.length + 1), blob })) }
}

/**
 * Of what was dropped; it has to be asked for in the event's own turn. `undefined`: it is not one folder.
 *
 * @throws {DOMException} A file cannot be read.
 */
export function droppedFolder(transfer: DataTransfer): Promise<GivenFolder> | undefined {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry())
  const [entry] = entries
  if (entries.length !== 1 || !entry || !isDirectory(entry)) return undefined
  return readFolder(entry)
}

const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory
const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile

async function readFolder(folder: FileSystemDirectoryEntry): Promise<GivenFolder> {
  const files: GivenFile[] = []
  const walk = async (directory: FileSystemDirectoryEntry, prefix: string): Promise<void> => {
    for (const entry of await entriesOf(directory)) {
      const path = prefix + entry.name
      if (isDirectory(entry)) await walk(entry, `${path}/`)
      else if (isFile(entry)) files.push({ path, blob: await new Promise<File>((...ends) => entry.file(...ends)) })
    }
  }
  await walk(folder, '')
  return { name: folder.name, files }
}

/** A reader gives some at a time, and none at its end. */
async function entriesOf(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((...ends) => reader.readEntries(...ends))
    if (some.length === 0) return all
    all.push(...some)
  }
}
