/* A text with headings, lists and tables, written as HTML or as Markdown (GitHub's). Whatever text is given
 * is escaped. Markdown has no classes; they are CSS's and say nothing that the words do not. */
#ifndef DESCENT_TRAIN_COMPARE_DOCUMENT_H
#define DESCENT_TRAIN_COMPARE_DOCUMENT_H

#include <stdio.h>

enum document_syntax { DOCUMENT_HTML, DOCUMENT_MARKDOWN };

struct document {
    FILE *file;
    enum document_syntax syntax;
};

/* HTML as it is; nothing in Markdown. */
void document_html(const struct document *document, const char *html);

/* Within a block: text, or text in the form of printf. */
void document_text(const struct document *document, const char *text);

#define DOCUMENT_PRINTF(n) __attribute__((format(printf, n, (n) + 1)))

/* Levels from 1. */
void document_heading(const struct document *document, int level, const char *format, ...)
    DOCUMENT_PRINTF(3);

void document_paragraph(const struct document *document, const char *class, const char *format, ...)
    DOCUMENT_PRINTF(3);

void document_begin_list(const struct document *document);
void document_item(const struct document *document, const char *format, ...) DOCUMENT_PRINTF(2);
void document_end_list(const struct document *document);

/* A list of names with what is to be said of each. */
void document_begin_facts(const struct document *document);
void document_fact(const struct document *document, const char *name, const char *format, ...)
    DOCUMENT_PRINTF(3);
void document_end_facts(const struct document *document);

/* Rows of as many cells as there are titles. class: NULL for none. */
void document_begin_table(const struct document *document, const char *const *titles, int count);
void document_begin_row(const struct document *document, const char *class);
void document_cell(const struct document *document, const char *class, const char *format, ...)
    DOCUMENT_PRINTF(3);
void document_code_cell(const struct document *document, const char *text);
void document_end_row(const struct document *document);
void document_end_table(const struct document *document);

#endif
