//! `[http]`, `[[http.credentials]]` and `[capabilities.http]`.

use crate::check::{ENGINE, MODULE, check_engine, check_module, module};

fn check_after(text: &str, report: &str) {
    check_engine(&format!("{ENGINE}{text}"), report);
}

#[test]
fn a_module_says_for_which_servers() {
    let declared = MODULE.replace("[]", "[\"http\"]");
    check_module(
        &declared,
        "
nexum.toml:7:13: the capability \"http\" is required for no server
  help: write
        [capabilities.http]
        allow = [\"api.example.org\"]
",
    );
    check_module(
        &format!("{MODULE}[capabilities.http]\nallow = [\"api.example.org\"]\n"),
        "
nexum.toml:9:10: `capabilities.http` lists servers, and the capability \"http\" is not declared
  help: add \"http\" to `capabilities.required` or `capabilities.optional`
",
    );
    check_module(
        &format!("{declared}[capabilities.http]\nallow = [\"a.example/path\", \"*\", \"ftp://a.example\", \"a.example:0\", 7]\n"),
        "
nexum.toml:9:10: an entry of `capabilities.http.allow` is \"a.example/path\": a pattern is a host, with a scheme and a port where they matter, and nothing else
  help: write a host such as \"api.example.org\", \"*.example.org\" or \"api.example.org:8443\"; before it, \"http://\" where it is not https
nexum.toml:9:28: an entry of `capabilities.http.allow` is \"*\": '*' stands for all names below another, as in *.example.org, and for nothing else
  help: write a host such as \"api.example.org\", \"*.example.org\" or \"api.example.org:8443\"; before it, \"http://\" where it is not https
nexum.toml:9:33: an entry of `capabilities.http.allow` is \"ftp://a.example\": the schemes are https and http
  help: write a host such as \"api.example.org\", \"*.example.org\" or \"api.example.org:8443\"; before it, \"http://\" where it is not https
nexum.toml:9:52: an entry of `capabilities.http.allow` is \"a.example:0\": a port is a number from 1 to 65535
  help: write a host such as \"api.example.org\", \"*.example.org\" or \"api.example.org:8443\"; before it, \"http://\" where it is not https
nexum.toml:9:67: an entry of `capabilities.http.allow` takes a host such as \"api.example.org\", not an integer
  help: The servers that the module reaches, such as \"api.example.org\" or \"*.example.org:8443\"; https unless \"http://\" stands before it
",
    );
    let good = format!("{declared}[capabilities.http]\nallow = [\"API.Example.org:443\"]\n");
    let listed: Vec<_> = module(&good)
        .unwrap()
        .http_allow
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listed, ["https://api.example.org:443"]);
}

#[test]
fn what_is_no_setting_is_told() {
    check_after(
        "[http]
max_redirects = 11
max_response_bytes = 0
allow_http = [\"https://a.example\"]
ca_file = \"gone.pem\"
allow = [\"a.example\"]
",
        "
nexum-engine.toml:4:17: `http.max_redirects` is 11, and the most is 10
  help: How many redirects of one request are followed
nexum-engine.toml:5:22: `http.max_response_bytes` is 0, and the least is 1
  help: The largest body of a response, decoded, in bytes
nexum-engine.toml:6:15: an entry of `http.allow_http` is an https server
  help: this list is for those that are reached over http; take it out
nexum-engine.toml:7:11: `http.ca_file`: gone.pem: the file does not exist
  help: write the path of a file with \"-----BEGIN CERTIFICATE-----\" in it
nexum-engine.toml:8:1: unknown key `allow` in `http`
  help: the keys here are `connect_timeout`, `idle_timeout`, `request_timeout`, `max_request_bytes`, `max_response_bytes`, `max_concurrent`, `max_redirects`, `allow_http`, `allow_private`, `ca_file`, `credentials`
",
    );
}

#[test]
fn a_credential_that_is_bad_is_told_without_itself() {
    check_after(
        "[[http.credentials]]
host = \"a.example\"
header = \"content-length\"
value = \"hunter2\"
[[http.credentials]]
host = \"a.example\"
header = \"x y\"
value = { env = \"UNSET\" }
[[http.credentials]]
host = \"a.example\"
header = \"x-key\"
value = \"hunter2\\nhost: b\"
[[http.credentials]]
host = \"A.example\"
header = \"X-Key\"
value = \" hunter2\"
[[http.credentials]]
host = \"a.example\"
header = \"x-other\"
value = { env = \"EMPTY\" }
modules = []
[[http.credentials]]
header = \"x-third\"
",
        "
nexum-engine.toml:5:10: `http.credentials.header` is \"content-length\", which concerns the connection
  help: the engine sets it itself; name a header that the server reads
nexum-engine.toml:9:10: `http.credentials.header` is \"x y\", which is no header's name
  help: write the name alone, such as \"authorization\" or \"x-api-key\"
nexum-engine.toml:10:9: `http.credentials.value`: the environment variable `UNSET` is not set
  help: set it for the process that runs the engine: UNSET=…
nexum-engine.toml:14:9: `http.credentials.value`: the value has a character that no header's value has, or a blank at an end
  help: a value is visible ASCII on one line
nexum-engine.toml:17:10: two credentials set the header \"x-key\" of https://a.example
  nexum-engine.toml:13:10: first here
  help: take one out, or name different `modules`
nexum-engine.toml:18:9: `http.credentials.value`: the value has a character that no header's value has, or a blank at an end
  help: a value is visible ASCII on one line
nexum-engine.toml:19:1: `http.credentials.modules` is empty
  help: name the modules, or leave the key out: then it is for all of them
nexum-engine.toml:22:9: `http.credentials.value`: the value of the environment variable `EMPTY` is empty
  help: write the value into it
nexum-engine.toml:24:1: `http.credentials.host` is missing
  help: The servers that get it, such as \"api.example.org\" or \"*.example.org:8443\"; https unless \"http://\" stands before it
nexum-engine.toml:24:1: `http.credentials.value` is missing
  help: The header's whole value, such as \"Bearer …\": the text itself, { env = \"NAME\" } or { file = \"path\" }
",
    );
}
