"""Uses the sandbox's page as a person would, in real Chromium, and fails if a side ends wrong.

Called by .ci/browser with the sandbox's address and a folder for screenshots.
"""

import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

address, folder = sys.argv[1], sys.argv[2]


def browser(width, height, dark):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tempfile.mkdtemp()}", f"--window-size={width},{height}",
    ]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    driver.get(address)
    return driver


def until(what, holds, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return print(f"ok: {what}")
        except Exception:  # the table was made anew while it was read
            pass
        time.sleep(0.05)
    sys.exit(f"not so after {seconds} s: {what}\n{driver.find_element(By.TAG_NAME, 'body').text}")


def row(email):
    return driver.find_element(By.CSS_SELECTOR, f'tr[data-email="{email}"]')


def cells(email):
    return [cell.text.split("\n")[0] for cell in row(email).find_elements(By.TAG_NAME, "td")]


def press(label, email):
    def pressed():
        driver.find_element(By.CSS_SELECTOR, f'button[aria-label="{label}: {email}"]').click()
        return True

    until(f"{label} can be pressed for {email}", pressed)


def travelled():
    return driver.find_element(By.ID, "travel").text


def weather(side, kind):
    driver.find_element(By.CSS_SELECTOR, f'#weather-{side} button[value="{kind}"]').click()
    chosen = f'#weather-{side} button[value="{kind}"][aria-pressed="true"]'
    until(f"{side} is {kind}", lambda: driver.find_element(By.CSS_SELECTOR, chosen))


driver = browser(1200, 900, dark=False)
ann = "ann@example.org"
driver.find_element(By.ID, "name").send_keys("ann")
driver.find_element(By.CSS_SELECTOR, 'button[value="sign_up"]').click()
until("ann has an account", lambda: cells(ann)[1] == "no subscription")
press("Opt in", ann)
until("ann is active at Campaign Monitor", lambda: cells(ann)[2].startswith("Active"))
until("the webhook was answered 200", lambda: "heard 200" in travelled() and "applied" in travelled())
time.sleep(1.1)  # Campaign Monitor's clock tells seconds; at the same one the opt-out wins anyway
press("Unsubscribe link", ann)
until("ann is opted out in Gigya", lambda: cells(ann)[1] == "opted out" and cells(ann)[3] == "in step")
time.sleep(1.1)
press("Opt in", ann)
until("ann is active again", lambda: cells(ann)[2].startswith("Active"))
weather("esp", "down")
press("Opt out", ann)
until("the sender heard 503", lambda: "heard 503" in travelled())
until("ann is still active at Campaign Monitor", lambda: cells(ann)[2].startswith("Active"))
weather("esp", "fine")
until("the redelivery arrived", lambda: cells(ann)[2].startswith("Unsubscribed") and cells(ann)[3] == "in step")
driver.find_element(By.ID, "name").send_keys("ben")
driver.find_element(By.CSS_SELECTOR, 'button[value="sign_up_lite"]').click()
ben = "ben@example.org"
press("Opt in", ben)
until("ben is active", lambda: cells(ben)[2].startswith("Active"))
press("Deactivate", ben)
until("ben is removed", lambda: cells(ben)[2].startswith("Deleted"))
driver.find_element(By.ID, "name").send_keys("ann")
driver.find_element(By.CSS_SELECTOR, 'button[value="sign_up"]').click()
until("a second ann is refused in words", lambda: "already" in driver.find_element(By.ID, "problem").text)
driver.save_screenshot(f"{folder}/desktop-light.png")
severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE" and "/act" not in entry["message"]]
if severe:
    sys.exit(f"the browser complained: {severe}")
driver.quit()

driver = browser(390, 844, dark=True)
until("a phone shows ann, too", lambda: cells(ann)[0] == ann)
overflow = "return document.documentElement.scrollWidth <= window.innerWidth"
until("nothing is wider than a phone", lambda: driver.execute_script(overflow))
driver.save_screenshot(f"{folder}/phone-dark.png")
driver.quit()
print(f"screenshots are in {folder}")
