// Loads the launch page in Chromium. PYTHON is a Python with botocore, which renders the page.

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { after, before, test } from "node:test"
import { fileURLToPath } from "node:url"

import { axe, launch } from "./installed.mjs"
import { shoot } from "./screenshots.mjs"

// S3 reads a + as a space, so a link must encode it.
const VERSION = "1.2.3+build.4"
// The host is a bucket's, as after publication. Nothing is sent to it.
const URL_OF_PAGE = "https://example-launch-us-east-1.s3.us-east-1.amazonaws.com/latest/index.html"
const DESKTOP = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }
// The narrowest width at which a page must not scroll sideways (WCAG 2.2, 1.4.10 Reflow).
const NARROW = { width: 320, height: 640 }

const buckets = readFileSync(new URL("buckets.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line && !line.startsWith("#"))
  .map((line) => line.split(" "))
const html = render(VERSION)
let browser

before(async () => (browser = await launch()))
after(() => browser.close())

function render(version) {
  const file = fileURLToPath(new URL("buckets.txt", import.meta.url))
  return execFileSync(process.env.PYTHON, ["-m", "launch.page", version, file], {
    env: { ...process.env, PYTHONPATH: fileURLToPath(new URL("../..", import.meta.url)) },
    encoding: "utf8",
  })
}

// Loads the page. The result has the tab, all URLs that it requested and everything that it reported.
async function open(options = {}, body = html) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options })
  const tab = await context.newPage()
  const requests = []
  const reports = []
  tab.on("console", (message) => reports.push(message.text()))
  tab.on("pageerror", (error) => reports.push(String(error)))
  await context.route("**", (route) => {
    requests.push(route.request().url())
    return route.request().url() === URL_OF_PAGE ? route.fulfill({ contentType: "text/html", body }) : route.abort()
  })
  await tab.goto(URL_OF_PAGE)
  return { tab, requests, reports, [Symbol.asyncDispose]: () => context.close() }
}

for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    test(`axe finds nothing: ${colorScheme}, ${name}`, async () => {
      await using page = await open({ colorScheme, viewport })
      // The page's policy does not restrict what a debugger evaluates.
      await page.tab.evaluate(axe)
      const rules = { "target-size": { enabled: true }, "color-contrast-enhanced": { enabled: true } }
      const found = await page.tab.evaluate((rules) => window.axe.run({ rules }), rules)
      assert.deepEqual([...found.violations, ...found.incomplete].flatMap(nodes), [])
      assert.ok(found.passes.length > 30, `axe checked only ${found.passes.length} rules`)
    })
  }
}

function nodes(rule) {
  // axe cannot tell the background of a text in the diagram. The diagram's pairs of colors also occur in the rest of
  // the page, where axe checks them.
  const known = (node) => rule.id.startsWith("color-contrast") && node.html.startsWith("<text ")
  const text = (node) => `${rule.id}: ${node.target} ${node.any.map((check) => check.message)}`
  return rule.nodes.filter((node) => !known(node)).map(text)
}

test("the page requests nothing and reports nothing", async () => {
  await using page = await open()
  await page.tab.evaluate(() => document.fonts.ready)
  assert.deepEqual(page.requests, [URL_OF_PAGE])
  assert.deepEqual(page.reports, [])
  // A headless browser does not ask for /favicon.ico, as others do if a page has no icon.
  assert.match(await page.tab.getAttribute("link[rel=icon]", "href"), /^data:image\/svg\+xml,/)
})

test("the policy blocks a script, a style and a picture that someone adds", async () => {
  await using page = await open()
  const blocked = await page.tab.evaluate(async () => {
    const found = []
    document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective))
    for (const [tag, properties] of [
      ["script", { textContent: "window.ran = true" }],
      ["style", { textContent: "body { display: none }" }],
      ["img", { src: "https://example.com/pixel.png" }],
    ]) {
      const element = Object.assign(document.createElement(tag), properties)
      document.body.append(element)
      if (tag === "img") await new Promise((resolve) => (element.onerror = element.onload = resolve))
    }
    return [...found, String(window.ran), getComputedStyle(document.body).display]
  })
  assert.deepEqual(blocked.toSorted(), ["block", "img-src", "script-src-elem", "style-src-elem", "undefined"])
  assert.deepEqual(page.requests, [URL_OF_PAGE])
})

test("each launch link is the URL that the console expects, with the region's own bucket", async () => {
  await using page = await open()
  const hrefs = await page.tab.$$eval(".groups a", (found) => found.map((link) => link.href))
  assert.equal(hrefs.length, buckets.length)
  assert.deepEqual(Object.fromEntries(hrefs.map(read)), Object.fromEntries(buckets.map(expected)))
  assert.equal(await page.tab.getAttribute(".button", "href"), hrefs[0])
})

// What the console understands: it takes the region from the query, and the rest from the part after #.
function read(href) {
  const { protocol, host, pathname, searchParams, hash } = new URL(href)
  const [view, query] = hash.split("?")
  const values = Object.fromEntries(query.split("&").map((pair) => pair.split("=").map(decodeURIComponent)))
  assert.ok(values.templateURL.length <= 1024)
  assert.equal(query, Object.entries(values).map((pair) => pair.map(encodeURIComponent).join("=")).join("&"))
  return [searchParams.get("region"), { protocol, host, pathname, view, values }]
}

const SUFFIXES = { cn: "amazonaws.com.cn", eusc: "amazonaws.eu" }
const CONSOLES = {
  cn: "console.amazonaws.cn",
  eusc: "console.amazonaws-eusc.eu",
  "us-gov": "console.amazonaws-us-gov.com",
}

function expected([region, bucket]) {
  const partition = region.match(/^(cn|eusc|us-gov)-/)?.[1]
  return [
    region,
    {
      protocol: "https:",
      host: `${region}.${CONSOLES[partition] ?? "console.aws.amazon.com"}`,
      pathname: "/cloudformation/home",
      view: "#/stacks/create/review",
      values: {
        templateURL:
          `https://${bucket}.s3.${region}.${SUFFIXES[partition] ?? "amazonaws.com"}` +
          `/releases/1.2.3%2Bbuild.4/coiled.template.yaml`,
        stackName: "coiled",
      },
    },
  ]
}

test("the keyboard reaches every link in order, and shows where it is", async () => {
  await using page = await open()
  const all = await page.tab.$$eval("a", (found) => found.map((link) => link.href))
  const seen = []
  for (const _ of all) {
    await page.tab.keyboard.press("Tab")
    const focused = await page.tab.evaluate(() => {
      const { href } = document.activeElement
      const box = document.activeElement.getBoundingClientRect()
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
      // With the outline around it.
      const visible = box.top >= 6 && box.bottom <= innerHeight - 6 && box.width > 0
      return { href, visible, outline: `${outlineStyle} ${outlineWidth}` }
    })
    seen.push(focused.href)
    assert.ok(focused.visible, `${focused.href} is not visible`)
    assert.equal(focused.outline, "solid 3px", focused.href)
  }
  assert.deepEqual(seen, all)
})

test("the first key press offers to skip the header", async () => {
  await using page = await open()
  await page.tab.keyboard.press("Tab")
  await page.tab.keyboard.press("Enter")
  await page.tab.keyboard.press("Tab")
  assert.equal(await page.tab.evaluate(() => document.activeElement.className), "button")
})

test("nothing scrolls sideways at any width", async () => {
  for (const viewport of [NARROW, PHONE, { width: 768, height: 1024 }, DESKTOP]) {
    await using page = await open({ viewport })
    const width = await page.tab.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= viewport.width, `${width} px at ${viewport.width} px`)
  }
})

test("print is black on white without navigation, even from a dark screen", async () => {
  await using page = await open({ colorScheme: "dark" })
  await page.tab.emulateMedia({ media: "print" })
  const printed = await page.tab.evaluate(() => {
    const { color, backgroundColor } = getComputedStyle(document.body)
    return { color, backgroundColor, navigation: getComputedStyle(document.querySelector("nav")).display }
  })
  assert.deepEqual(printed, { color: "rgb(0, 0, 0)", backgroundColor: "rgb(255, 255, 255)", navigation: "none" })
})

test("high contrast keeps the outline of each button", async () => {
  await using page = await open({ forcedColors: "active" })
  const borders = await page.tab.$$eval(".button", (found) => found.map((each) => getComputedStyle(each).borderStyle))
  assert.deepEqual(borders, ["solid", "solid"])
})

test("screenshots for the docs", { skip: !process.env.SCREENSHOTS }, async () => {
  for (const [name, options] of Object.entries({
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    phone: { colorScheme: "light", viewport: PHONE },
  })) {
    await using page = await open(options, render("0.1.0"))
    await shoot(page.tab, `launch-${name}`)
  }
})
