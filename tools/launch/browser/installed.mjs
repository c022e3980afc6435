// The packages that `make` installs into .tools/browser, and Chromium. As a program, it only unpacks Chromium.

import { mkdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("../../../.tools/browser/", import.meta.url))
const fonts = fileURLToPath(new URL("fonts.conf", import.meta.url))
const require = createRequire(folder)

export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8")

// Starts Chromium. It has no network: no host name resolves, and the tests answer each request themselves.
export async function launch() {
  return require("playwright-core").chromium.launch({
    executablePath: await unpacked(),
    // Only the fonts of the packages, so that a screenshot is the same on every machine.
    env: { ...process.env, FONTCONFIG_FILE: fonts, XDG_CACHE_HOME: folder },
    args: ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-gpu"],
  })
}

// The path of Chromium, which is unpacked once, into os.tmpdir().
async function unpacked() {
  const { default: chromium } = require("@sparticuz/chromium")
  // Without WebGL, which needs a second library.
  chromium.setGraphicsMode = false
  const before = process.env.TMPDIR
  process.env.TMPDIR = `${folder}chromium`
  mkdirSync(process.env.TMPDIR, { recursive: true })
  try {
    return await chromium.executablePath()
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await unpacked()
