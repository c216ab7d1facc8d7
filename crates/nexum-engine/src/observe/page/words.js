// Words for values: numbers, times, sizes.

const numbers = new Intl.NumberFormat("en-US");
const count = (value) => numbers.format(value);
const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function latency(us) {
  if (us === null) return "–";
  if (us < 1000) return `${us} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

function rate(value) {
  if (value === null) return "–";
  if (value === 0 || value >= 100) return count(Math.round(value));
  return value.toFixed(value < 1 ? 2 : 1);
}

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

// The time of the clock where the page is looked at.
function clock(made) {
  return [made.getHours(), made.getMinutes(), made.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

function moment(ms) {
  const made = new Date(ms);
  const day = [made.getMonth() + 1, made.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${made.getFullYear()}-${day.join("-")} ${clock(made)}`;
}
