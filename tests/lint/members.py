# SPDX-License-Identifier: Apache-2.0
"""members.py - no member of a struct is written and never read

Decided by names, without a compiler. A member counts as read when its name
follows a dot or an arrow in a file that includes, by way of others too, the
file that defines the struct, unless that place
  - assigns to the member (p->x = 1, p->x.y = 1, or .x = 1 in an initializer;
    but *p->x = 1 reads the pointer),
  - changes it, and nobody takes the outcome (p->x++; p->x += 1;),
  - stores it atomically (atomic_store(&p->x, 1);).
A name that a macro gets as an argument counts as read, too: HASH_ADD(hh, ...),
offsetof(struct s, x). A member of the same name in another struct that such a
file knows can hide one that nobody reads; what is refused here, however, nobody
reads.
"""
import functools
import re

from source import end_of_brackets
import layers

# What others define: the kernel's structs that headers may lack, and the
# members that the macros of utlist.h name by themselves.
FOREIGN_FILES = {"common/mounts_kernel.h"}
FOREIGN_NAMES = {"next", "prev"}
# Bytes that a struct names so that it has no padding.
PADDING = "zero"

STRUCT = re.compile(r"\bstruct\b[^;{}()=]*\{")
NO_NAME = re.compile(r"__attribute__\s*\(\(.*?\)\)|_Alignas\s*\([^)]*\)"
                     r"|\b\w+_HEAD\s*\([^)]*\)|\[[^\]]*\]", re.S)
POINTER_TO_FUNCTION = re.compile(r"\(\s*\*\s*(\w+)\s*(?:\[[^\]]*\])?\)\s*\(")
LAST_NAME = re.compile(r"(\w+)\s*(?::\s*\w+\s*)?$")

ACCESS = re.compile(r"(?:->|\.)\s*([A-Za-z_]\w*)")
PART = re.compile(r"\s*(?:\.\s*\w+|\[[^\]]*\])")
ASSIGNS = re.compile(r"\s*=(?!=)")
CHANGES = re.compile(r"\s*(?:\+\+|--|(?:[-+*/%&|^]|<<|>>)=)")
ATOMIC_STORE = re.compile(r"\batomic_(?:init|store\w*)\s*\(\s*&$")
ATOMIC_CHANGE = re.compile(r"\batomic_fetch_\w+\s*\(\s*&$")
STATEMENT_BEGINS = re.compile(r"(?:^|[;{}:)]|\belse|\bdo)\s*(?:\+\+|--)?$")
OPERAND = re.compile(r"(?:->|\.|\b(?!(?:return|case|else|do)\b)\w+)\s*$")
MACRO = re.compile(r"\b(?:[A-Z][A-Z0-9_]+|offsetof|container_of)\s*\(")
LONE_NAME = re.compile(r"(?<![.>\w])[A-Za-z_]\w*")


def without_inner(body):
    """A struct's body with what stands in inner braces blanked out; the inner
    structs are found by themselves."""
    out, depth = [], 0
    for char in body:
        depth -= char == "}"
        out.append(char if depth == 0 and char not in "{}" else
                   "\n" if char == "\n" else " ")
        depth += char == "{"
    return "".join(out)


def declared(body):
    """(position, name) for each member in the body of a struct."""
    begin = 0
    for declaration in without_inner(body).split(";"):
        match = POINTER_TO_FUNCTION.search(declaration)
        if match:
            yield begin + match.start(1), match.group(1)
        else:
            text = NO_NAME.sub(lambda m: " " * len(m.group(0)), declaration)
            part_begin = begin
            for part in text.split(","):
                match = LAST_NAME.search(part.rstrip())
                if match and not match.group(1).isdigit():
                    yield part_begin + match.start(1), match.group(1)
                part_begin += len(part) + 1
        begin += len(declaration) + 1


def members(source):
    """(position, name) for each member of each struct that a file defines."""
    for match in STRUCT.finditer(source.code):
        begin = match.end()
        end = end_of_brackets(source.code, begin - 1)
        for position, name in declared(source.code[begin:end]):
            yield begin + position, name


def begin_of_brackets(code, end):
    """Where the bracket that closes before end is opened."""
    closes = code[end - 1]
    opens = {")": "(", "]": "["}[closes]
    depth = 0
    for i in range(end - 1, -1, -1):
        depth += (code[i] == closes) - (code[i] == opens)
        if depth == 0:
            return i
    return 0


def before_operand(code, position):
    """The code in front of the expression whose last part ends here."""
    while True:
        while position and code[position - 1].isspace():
            position -= 1
        if position and code[position - 1] in ")]":
            position = begin_of_brackets(code, position)
            continue
        match = OPERAND.search(code, max(0, position - 80), position)
        if not match:
            return code[max(0, position - 80):position]
        position = match.start()


def is_read(code, match):
    """Does this place make use of the member's value?"""
    end = match.end()
    while part := PART.match(code, end):
        end = part.end()
    before = before_operand(code, match.start())
    if ASSIGNS.match(code, end):
        return before.endswith("*")
    if ATOMIC_STORE.search(before):
        return False
    if ATOMIC_CHANGE.search(before):
        return not STATEMENT_BEGINS.search(ATOMIC_CHANGE.sub("", before))
    if CHANGES.match(code, end) or before.endswith(("++", "--")):
        return not STATEMENT_BEGINS.search(before)
    return True


def names_read(source):
    """The names of the members that a file reads."""
    code = source.code
    names = set()
    for match in ACCESS.finditer(code):
        if match.group(1) not in names and is_read(code, match):
            names.add(match.group(1))
    for match in MACRO.finditer(code):
        end = end_of_brackets(code, match.end() - 1)
        names.update(LONE_NAME.findall(code, match.end(), end))
    return names


def check(tree):
    """Members that no file of the programs reads."""
    product = {source.name: source for source in tree.c_files
               if layers.layer(source.name)}
    reads = functools.cache(lambda name: names_read(product[name]))
    for source in product.values():
        if source.name in FOREIGN_FILES:
            continue
        readers = tree.includers[source.name] & product.keys()
        for position, name in members(source):
            if name not in FOREIGN_NAMES and name != PADDING and \
                    not any(name in reads(reader) for reader in readers):
                yield source.name, source.line(position), (
                    f"nobody reads the member '{name}': remove it")
