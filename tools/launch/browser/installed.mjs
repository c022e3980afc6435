// The packages that `make` installs into .tools/browser, and Chromium. As a program, it only unpacks Chromium.

import { mkdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("../../../.tools/browser/", import.meta.url))
const fonts = fileURLToPath(new URL("fonts.conf", import.meta.url))
const require = createRequire(folder)

export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8")

// Starts Chromium. It has no network: no host name resolves, and the tests answer each request themselves.
export async function launch() {
  const { program, libraries } = await unpack()
  return require("playwright-core").chromium.launch({
    executablePath: program,
    env: {
      ...process.env,
      // The few libraries that a system without a desktop lacks.
      LD_LIBRARY_PATH: libraries,
      // Only the fonts of the packages, so that a screenshot is the same on every machine.
      FONTCONFIG_FILE: fonts,
      XDG_CACHE_HOME: folder,
    },
    args: ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-gpu"],
  })
}

// Unpacks Chromium and its libraries, unless that is done already. The package unpacks into the folder in TMPDIR.
async function unpack() {
  const { inflate } = require("@sparticuz/chromium")
  const packed = join(dirname(require.resolve("@sparticuz/chromium")), "..", "bin")
  const before = process.env.TMPDIR
  process.env.TMPDIR = join(folder, "chromium")
  mkdirSync(process.env.TMPDIR, { recursive: true })
  try {
    const program = await inflate(join(packed, "chromium.br"))
    return { program, libraries: join(await inflate(join(packed, "al2023.tar.br")), "lib") }
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await unpack()
