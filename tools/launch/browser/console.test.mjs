// The stand-in for the console reads a quick-create link as AWS documents it. Its server is not needed here.

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { after, before, test } from "node:test"

import { launch } from "./installed.mjs"

const HOME = "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1"
const FILES = { "/cloudformation/home": "console.html", "/console.css": "console.css", "/console.js": "console.js" }
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript" }
const field = (name, more = {}) => ({ name, label: name, description: "", default: "", choices: [], ...more })
const FORM = {
  description: "A template",
  groups: [
    { label: "First", fields: [field("Token", { hidden: true }), field("Name", { default: "old" })] },
    { label: "Second", fields: [field("Size", { choices: ["small", "large"], default: "small" })] },
  ],
  capabilities: ["CAPABILITY_IAM"],
  macros: [],
}
let browser

before(async () => (browser = await launch()))
after(() => browser.close())

// Opens the console at what follows #. Answers each call from `answers`, and notes its arguments.
async function open(hash, answers = {}) {
  const context = await browser.newContext()
  const tab = await context.newPage()
  const calls = []
  await context.route("**", (route) => {
    const { pathname } = new URL(route.request().url())
    if (pathname in FILES) return route.fulfill(file(FILES[pathname]))
    const call = pathname.replace("/api/", "")
    calls.push([call, route.request().postDataJSON()])
    return route.fulfill({ status: 200, json: FORM, ...answers[call] })
  })
  await tab.goto(HOME + hash)
  return { tab, calls, [Symbol.asyncDispose]: () => context.close() }
}

function file(name) {
  const path = new URL(`../console/${name}`, import.meta.url)
  return { contentType: TYPES[name.split(".")[1]], body: readFileSync(path) }
}

// What follows # in a link. The + in the key is encoded for S3, and once more for the link.
function link(query) {
  const template = encodeURIComponent("https://b.s3.eu-west-1.amazonaws.com/a%2Bb.yaml")
  return `#/stacks/create/review?templateURL=${template}&stackName=mine${query}`
}

test("a link sets the template, the stack's name and the parameters that it names", async () => {
  await using page = await open(link("&param_Name=a%20new%26b&param_Size=large&param_Unknown=1&param_name=wrong"))
  await page.tab.locator("#Name").waitFor()
  const asked = { region: "eu-west-1", template_url: "https://b.s3.eu-west-1.amazonaws.com/a%2Bb.yaml" }
  assert.deepEqual(page.calls, [["template", asked]])
  assert.equal(await page.tab.inputValue("#stack-name"), "mine")
  assert.equal(await page.tab.inputValue("#Name"), "a new&b")
  assert.equal(await page.tab.inputValue("#Size"), "large")
})

test("a hidden parameter is never taken from a link", async () => {
  await using page = await open(link("&param_Token=secret"))
  await page.tab.locator("#Token").waitFor()
  assert.equal(await page.tab.inputValue("#Token"), "")
  assert.equal(await page.tab.getAttribute("#Token", "type"), "password")
})

test("the button creates nothing without the consent to IAM resources", async () => {
  const stack = { name: "mine", status: "CREATE_COMPLETE", outputs: [], events: [] }
  await using page = await open(link(""), { create: { json: "a-stack" }, stack: { json: stack } })
  await page.tab.getByRole("button", { name: "Create stack" }).click()
  assert.deepEqual(page.calls.map(([name]) => name), ["template"])
  await page.tab.getByRole("checkbox").check()
  await page.tab.getByRole("button", { name: "Create stack" }).click()
  await page.tab.getByText("CREATE_COMPLETE").waitFor()
  const [, [name, created]] = page.calls
  assert.equal(name, "create")
  assert.deepEqual(created.parameters, { Token: "", Name: "old", Size: "small" })
  assert.deepEqual(created.capabilities, ["CAPABILITY_IAM"])
})

test("what CloudFormation rejects is shown", async () => {
  await using page = await open(link(""), { template: { status: 400, json: "Template not found" } })
  await page.tab.getByRole("alert").getByText("Template not found").waitFor()
})

test("an unknown view is an error", async () => {
  await using page = await open("#/stacks/quickcreated?templateURL=x")
  await page.tab.getByRole("alert").getByText("The console has no view /stacks/quickcreated.").waitFor()
})
