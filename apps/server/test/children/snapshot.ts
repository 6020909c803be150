// Another program: all files of a repository by @huggingface/hub, from the hub at an address. Prints the folder.
import { snapshotDownload } from '@huggingface/hub'

const [hubUrl = '', repo = '', accessToken = '', cacheDir = ''] = process.argv.slice(2)
// The library prints each file.
console.debug = () => undefined
console.log(await snapshotDownload({ hubUrl, repo, accessToken, cacheDir }))
