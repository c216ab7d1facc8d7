//! WebAssembly written byte by byte, for what no toolchain would make. The sections are those of
//! the core and of the component binary format.

/// A function's body: no locals, and its end.
pub const EMPTY_BODY: &[u8] = &[0, END];

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Of a component's section.
const CORE_MODULE: u8 = 1;
const NESTED_COMPONENT: u8 = 4;
/// Of a core module's section.
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;

const FUNCTION_TYPE: u8 = 0x60;
const I32: u8 = 0x7f;

const UNREACHABLE: u8 = 0x00;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const CALL: u8 = 0x10;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const END: u8 = 0x0b;
const BRANCH_IF: u8 = 0x0d;
const I32_CONST: u8 = 0x41;
const NO_RESULT: u8 = 0x40;

/// A component that is nothing but a core module.
#[must_use]
pub fn component(module: &[u8]) -> Vec<u8> {
    component_of(&[module])
}

/// A component of core modules, which it does not instantiate.
#[must_use]
pub fn component_of(modules: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut component = COMPONENT.to_vec();
    for module in modules {
        section(CORE_MODULE, module.as_ref(), &mut component);
    }
    component
}

/// Empty components within one another, this many in all.
#[must_use]
pub fn nested(levels: usize) -> Vec<u8> {
    // From within: how long each is that has these many inside of it.
    let mut lengths = vec![COMPONENT.len()];
    while lengths.len() < levels {
        let inner = lengths.last().copied().unwrap_or_default();
        lengths.push(COMPONENT.len() + 1 + leb(inner).len() + inner);
    }
    let mut component = COMPONENT.to_vec();
    for inner in lengths.into_iter().rev().skip(1) {
        component.push(NESTED_COMPONENT);
        component.extend(leb(inner));
        component.extend(COMPONENT);
    }
    component
}

/// A core module of functions with these bodies, without parameters and results.
#[must_use]
pub fn module(bodies: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut module = MODULE.to_vec();
    section(TYPES, &[1, 0x60, 0, 0], &mut module);
    let mut types = leb(bodies.len());
    types.resize(types.len() + bodies.len(), 0);
    section(FUNCTIONS, &types, &mut module);
    let mut code = leb(bodies.len());
    for body in bodies {
        let body = body.as_ref();
        code.extend(leb(body.len()));
        code.extend(body);
    }
    section(CODE, &code, &mut module);
    module
}

/// The body of loops within one another: a compiler takes a time for it that grows far faster than
/// its bytes.
#[must_use]
pub fn nested_loops(count: usize) -> Vec<u8> {
    let mut body = vec![0];
    body.extend([LOOP, NO_RESULT].repeat(count));
    body.extend([I32_CONST, 0, BRANCH_IF, 0, END].repeat(count));
    body.push(END);
    body
}

/// The body of branches one after another, over this many values that live across all of them.
#[must_use]
pub fn branches(count: usize, values: usize) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(leb(values));
    body.push(I32);
    for index in 0..count {
        body.extend([LOCAL_GET, 0, IF, NO_RESULT, I32_CONST, 1, LOCAL_SET]);
        body.extend(leb(index % values));
        body.push(END);
    }
    body.push(END);
    body
}

/// A core module whose one function calls, this often, another one that has that many results.
#[must_use]
pub fn calls(count: usize, results: usize) -> Vec<u8> {
    let mut module = MODULE.to_vec();
    let mut types = vec![2, FUNCTION_TYPE, 0, 0, FUNCTION_TYPE, 0];
    types.extend(leb(results));
    types.resize(types.len() + results, I32);
    section(TYPES, &types, &mut module);
    section(FUNCTIONS, &[2, 0, 1], &mut module);
    let mut caller = vec![0];
    caller.extend([CALL, 1].repeat(count));
    caller.extend([UNREACHABLE, END]);
    let callee = [0, UNREACHABLE, END];
    let mut code = vec![2];
    for body in [&caller[..], &callee] {
        code.extend(leb(body.len()));
        code.extend(body);
    }
    section(CODE, &code, &mut module);
    module
}

fn section(id: u8, content: &[u8], to: &mut Vec<u8>) {
    to.push(id);
    to.extend(leb(content.len()));
    to.extend(content);
}

/// A number in LEB128, unsigned.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
