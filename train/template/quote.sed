# A text file as a C string.
s/[\\"]/\\&/g
s/.*/"&\\n"/
